/** Every format under its id in a recipe, one line each. */
export { dense } from "./dense";
export { gguf } from "./gguf";
export { gptq } from "./gptq";
export { onnx, onnxF16 as "onnx-f16" } from "./onnx";
