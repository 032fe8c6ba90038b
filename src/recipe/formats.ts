/** The export formats by their ids in a recipe, with the names people read. Each is implemented by the file of that id in export/formats/. */
interface FormatName {
  readonly title: string;
  readonly short: string;
  /** Its clients round products S·code to f16 before they add an offset, which changes weights unless S is short enough for exact products. */
  readonly roundsProducts?: true;
}

const names = {
  dense: { title: "Dense (loads where the original does)", short: "dense" },
  gptq: { title: "GPTQ (packed)", short: "GPTQ packed" },
  awq: { title: "AWQ GEMM (packed, 4 bits)", short: "AWQ packed" },
  "compressed-tensors": { title: "compressed-tensors (packed)", short: "compressed-tensors" },
  mlx: { title: "MLX (packed, for Apple silicon)", short: "MLX packed", roundsProducts: true },
  gguf: { title: "GGUF (llama.cpp)", short: "GGUF" },
  onnx: { title: "ONNX (transformers.js, onnxruntime-web)", short: "ONNX" },
  "onnx-f16": { title: "ONNX in f16 (the same, on GPUs with f16)", short: "ONNX f16" },
} satisfies Record<string, FormatName>;

export type FormatId = keyof typeof names;
export const formatNames: Readonly<Record<FormatId, FormatName>> = names;
export const formatIds = Object.keys(formatNames) as FormatId[];
export const formatTitles = Object.fromEntries(formatIds.map((id) => [id, formatNames[id].title])) as Record<FormatId, string>;

/**
 * Significant bits that a grid's scales may have in a format, if fewer than f16's 11: a product with a code of b bits then has 11 at most. Codes of 8 bits
 * would leave 3, and steps up to an eighth too long or short: their scales keep all 11.
 */
export const scaleBits = (format: FormatId, bits: number): number | undefined =>
  formatNames[format].roundsProducts && bits < 8 ? 11 - bits : undefined;

/** "3.25 bits per weight"; of floats, what a packed format would take. */
export const bitsText = (bitsPerWeight: number, format: FormatId): string =>
  `${Number(bitsPerWeight.toFixed(2))} bits per weight${format === "dense" ? " once packed" : ""}`;
