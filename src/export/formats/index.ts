/** What each format writes, under its id in a recipe: one line a format. */
export { dense } from "./dense";
export { gptq } from "./gptq";
