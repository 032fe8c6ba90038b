import { isPlainName } from "../io/text";
import type { Source, SourceFile } from "../io/types";

/** Tokenizers with large vocabularies take 30 MB; anything larger than this is not a side file. */
const largest = 50 * 2 ** 20;

const weights = /\.(safetensors|bin|pth?|ckpt|gguf|ggml|onnx|onnx_data|h5|msgpack|tflite|npz|mlmodel|ot)$/i;
/** Files that name weights that are not in the export, or say how other weights are to be read. */
const stale = /\.index\.json$|^(adapter_config|params|quantize_config|quant_config|quantization_config)\.json$/i;

/**
 * The files that are copied beside the weights: tokenizer, chat template, processor configs, remote code, licence. Not copied are weights and what
 * describes them, hidden files, and files that the export writes itself.
 */
export function sideFiles({ files }: Source, written: readonly string[]): SourceFile[] {
  // Some disks ignore the case of names. A folder's name is taken too.
  const taken = new Set(written.flatMap((name) => [name, name.split("/")[0]]).map((name) => name.toLowerCase()));
  return files.filter(({ name, size }) => {
    const key = name.toLowerCase();
    if (size > largest || name.startsWith(".") || !isPlainName(name) || weights.test(name) || stale.test(name) || taken.has(key))
      return false;
    taken.add(key);
    return true;
  });
}
