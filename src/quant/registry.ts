import type { MethodId } from "../recipe/recipe";
import { awq } from "./awq";
import { gptaq } from "./gptaq";
import { gptq } from "./gptq";
import type { Quantizer } from "./quantizer";
import { quip } from "./quip";
import { rtn } from "./rtn";

/** Every method by its name in a recipe. */
export const quantizers: Readonly<Record<MethodId, Quantizer>> = { rtn, gptq, awq, quip, gptaq };
