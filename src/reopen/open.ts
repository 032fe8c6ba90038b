/** Opens a checkpoint, whatever it lies in. Runtimes' own formats open to be measured. */
import { givenAs } from "../errors";
import type { Source } from "../io/types";
import { type Checkpoint, openCheckpoint } from "../model/checkpoint";
import { openGguf } from "./gguf/model";

/** @throws QuantError as `openCheckpoint` and `openGguf`. */
export function openAny(source: Source): Promise<Checkpoint> {
  const has = (pattern: RegExp) => source.files.some(({ name }) => pattern.test(name));
  if (has(/\.gguf$/i) && !has(/\.safetensors(\.index\.json)?$/)) return givenAs("checkpoint", () => openGguf(source));
  return openCheckpoint(source);
}
