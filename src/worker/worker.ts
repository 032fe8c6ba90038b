import * as Comlink from "comlink";
import type { StudioApi } from "./protocol";
import { createApi } from "./studio";

const api: StudioApi = createApi();
Comlink.expose(api);
