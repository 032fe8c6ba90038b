/** Every method under its id in a recipe, one line each. */
export { awq } from "./awq";
export { gptaq } from "./gptaq";
export { gptq } from "./gptq";
export { quip } from "./quip";
export { rtn } from "./rtn";
