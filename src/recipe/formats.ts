/** The export formats by their ids in a recipe, with the names people read. Each is implemented by the file of that id in export/formats/. */
export const formatNames = {
  dense: { title: "Dense f16 (loads where the original does)", short: "f16 dense" },
  gptq: { title: "GPTQ (packed)", short: "GPTQ packed" },
  gguf: { title: "GGUF (llama.cpp)", short: "GGUF" },
  onnx: { title: "ONNX (transformers.js, onnxruntime-web)", short: "ONNX" },
  "onnx-f16": { title: "ONNX in f16 (the same, on GPUs with f16)", short: "ONNX f16" },
};

export type FormatId = keyof typeof formatNames;
export const formatIds = Object.keys(formatNames) as FormatId[];
export const formatTitles = Object.fromEntries(formatIds.map((id) => [id, formatNames[id].title])) as Record<FormatId, string>;
