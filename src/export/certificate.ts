import { version } from "../../package.json";
import { QuantError } from "../errors";
import { type StartHasher, sha256OfFile } from "../io/hasher";
import type { SourceFile } from "../io/types";
import type { Checkpoint } from "../model/checkpoint";
import type { Recipe } from "../recipe/recipe";
import type { Certificate, FileDigest } from "../results/certificate";

export const certificateName = "certificate.json";

/** What decides how weights are read and texts become tokens. */
const described =
  /^(config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json$|^(tokenizer|tiktoken)\.model$|^merges\.txt$|^chat_template\.jinja$|\.safetensors\.index\.json$/;

/** The files that a run depends on: those that hold the checkpoint's tensors, its config and its tokenizer, by name. */
export function inputFiles(model: Checkpoint): SourceFile[] {
  const { shards, source } = model.original ?? model;
  const weights = new Set([...shards.tensors.values()].map(({ file }) => file));
  const files = [...weights, ...source.files.filter((file) => described.test(file.name) && !weights.has(file))];
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Reads the inputs whole. @param read is called with the bytes of each piece. @throws QuantError `cancelled`, and what reading throws. */
export async function digestInputs(
  model: Checkpoint,
  start: StartHasher,
  read?: (bytes: number) => void,
  signal?: AbortSignal,
): Promise<FileDigest[]> {
  const digests: FileDigest[] = [];
  for (const file of inputFiles(model))
    digests.push({ name: file.name, bytes: file.size, sha256: await sha256OfFile(file, start, read, signal) });
  return digests;
}

/** What goes into an export's certificate. */
export interface Certified {
  recipe: Recipe;
  calibration: string | null;
  source: readonly FileDigest[];
  written: readonly FileDigest[];
  readBack: Certificate["readBack"];
}

export const certificateOf = ({ recipe, calibration, source, written, readBack }: Certified): Certificate => ({
  certificate: 1,
  program: `qep-studio ${version}`,
  recipe,
  calibration,
  source: [...source],
  written: [...written].sort((a, b) => (a.name < b.name ? -1 : 1)),
  readBack,
});

/** @throws QuantError `internal` where something else was read back than the certificate says. */
export function requireSame({ readBack }: Certificate, found: Certificate["readBack"]): void {
  if (readBack.tensors !== found.tensors || readBack.bytes !== found.bytes)
    throw new QuantError(
      "internal",
      `${found.tensors} tensors were read back, and the certificate says ${readBack.tensors}`,
      "Please report this.",
    );
}
