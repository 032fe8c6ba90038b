/** Every format under its id in a recipe, one line each. */
export { dense } from "./dense";
export { gguf } from "./gguf";
export { gptq } from "./gptq";
