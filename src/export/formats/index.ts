/** Every format under its id in a recipe, one line each. */
export { dense } from "./dense";
export { gptq } from "./gptq";
export { mlx } from "./mlx";
