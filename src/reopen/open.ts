/** Opens a checkpoint, whatever it lies in. Runtimes' own formats open to be measured. */
import { givenAs } from "../errors";
import type { Source } from "../io/types";
import { type Checkpoint, openCheckpoint } from "../model/checkpoint";
import { openGguf } from "./gguf/model";
import { openOnnx } from "./onnx/model";

/** @throws QuantError as `openCheckpoint`, `openGguf` and `openOnnx`. */
export function openAny(source: Source): Promise<Checkpoint> {
  const has = (pattern: RegExp) => source.files.some(({ name }) => pattern.test(name));
  // Beside a whole checkpoint its conversions in folders are not looked at.
  if (has(/\.safetensors(\.index\.json)?$/))
    return openCheckpoint({ ...source, files: source.files.filter(({ name }) => !name.includes("/")) });
  if (has(/\.gguf$/i)) return givenAs("checkpoint", () => openGguf(source));
  if (has(/\.onnx$/)) return givenAs("checkpoint", () => openOnnx(source));
  return openCheckpoint(source);
}
