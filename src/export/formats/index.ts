/** Every format under its id in a recipe, one line each. */
export { awq } from "./awq";
export { compressedTensors as "compressed-tensors" } from "./compressed-tensors";
export { dense } from "./dense";
export { gguf } from "./gguf";
export { gptq } from "./gptq";
export { mlx } from "./mlx";
export { onnx, onnxF16 as "onnx-f16" } from "./onnx";
