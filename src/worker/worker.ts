import * as Comlink from "comlink";
import type { StudioApi } from "./protocol";
import { createStudio } from "./studio";

const api: StudioApi = createStudio();
Comlink.expose(api);
