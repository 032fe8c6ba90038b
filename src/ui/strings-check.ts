/** What the page says about checking files. */
export const check = {
  title: "Check a file instead",
  what: "A quantized checkpoint, ours or anybody’s: a folder, a .safetensors, .gguf or .onnx file, or a zip of this page. Nothing is opened, and no GPU is needed.",
  drop: "Drop it here, or",
  files: "Check files",
  folder: "Check folder",
  beside: (label: string) => `It was made from ${label}: compare their layers`,
  noOriginal: "Open the original first to compare each layer with it.",
  nothing: "There are no files among these.",
  sound: "The files are sound.",
  unsound: "The files are not sound.",
  of: (label: string, title: string, tensors: string, size: string) => `${label}: ${title}, ${tensors} tensors, ${size}`,
  level: { ok: "ok", warning: "warning", error: "error" },
  layers: (count: number, against: string) => `${count} layers beside ${against}’s`,
  columns: { name: "Layer", error: "‖W − Ŵ‖ / ‖W‖", stored: "Stored as" },
  scaled: { inputs: "inputs scaled", outputs: "outputs scaled" },
};
