import type { MethodId } from "../recipe/recipe";
import * as methods from "./methods";
import type { Quantizer } from "./quantizer";

/** Every method by its id; the compiler asks for each that recipe/methods.ts names. */
export const quantizers: Readonly<Record<MethodId, Quantizer>> = methods;
