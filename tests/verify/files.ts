/** Sound exports in memory, and files of them with something changed. */
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { openModel } from "../../src/model/checkpoint";
import type { Recipe } from "../../src/recipe/recipe";
import type { Finding, Verification } from "../../src/results/verification";
import { checkSource } from "../../src/verify/verify";
import { exportedTo } from "../support/exported";
import { safetensors, type Tensors } from "../support/tiny";

export type Json = Record<string, unknown>;

export interface Edit {
  /** Changes the tensors of the export. */
  tensors?(tensors: Tensors): void;
  /** Changes config.json. */
  config?(config: Json & { quantization_config: Json }): void;
  /** Other files by name; null: it is left out. */
  files?: Record<string, string | Uint8Array | null>;
  /** The file as it would lie on a disk that was full. */
  weights?(bytes: Uint8Array): Uint8Array;
}

const tokenizer = { "tokenizer.json": "{}", "tokenizer_config.json": "{}" };

/** An export and its original; `again` writes the export anew with an edit. */
export async function exportFor(change: Partial<Recipe>, shape?: Json) {
  const { model, shards, config } = await exportedTo(change, shape);
  const again = async ({ tensors: edit, config: editConfig, files = {}, weights = (bytes) => bytes }: Edit = {}): Promise<Source> => {
    const tensors: Tensors = new Map();
    for (const { name, dtype, shape } of shards.tensors.values())
      tensors.set(name, { spec: { name, dtype, shape }, bytes: Uint8Array.from(await shards.readTensor(name)) });
    edit?.(tensors);
    const json = structuredClone(config);
    editConfig?.(json);
    const texts: Record<string, string | Uint8Array | null> = { "config.json": JSON.stringify(json), ...tokenizer, ...files };
    return memorySource("out", [
      ...Object.entries(texts).flatMap(([name, text]) => (text === null ? [] : [bytesFile(name, text)])),
      bytesFile("model.safetensors", weights(safetensors(tensors))),
    ]);
  };
  return { model: await openModel(model.source), again };
}

/** The findings that are no praise. */
export const complaints = ({ findings }: Verification): Finding[] => findings.filter(({ level }) => level !== "ok");

export const codesOf = (verification: Verification): string[] => complaints(verification).map(({ level, code }) => `${level} ${code}`);

export const check = checkSource;

/** A tensor's bytes as 32-bit words, to be changed in place. */
export function words(tensors: Tensors, name: string): Uint32Array {
  const { bytes } = tensors.get(name)!;
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}
