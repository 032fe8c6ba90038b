import type { MethodId } from "../recipe/recipe";
import { gptq } from "./gptq";
import type { Quantizer } from "./quantizer";
import { rtn } from "./rtn";

/** Every method by its name in a recipe. */
export const quantizers: Readonly<Record<MethodId, Quantizer>> = { rtn, gptq };
