/** Sound exports in memory, and files of them with something changed. */
import { convertFloats, type FloatDtype, toF16Words, toFloats } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Shards, Source } from "../../src/io/types";
import { openModel } from "../../src/model/checkpoint";
import { mulberry32 } from "../../src/model/random";
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
export async function exportFor(change: Partial<Recipe>, shape?: Json, original?: Tensors) {
  const { model, shards, config } = await exportedTo(change, shape, original);
  const again = async ({ tensors: edit, config: editConfig, files = {}, weights = (bytes) => bytes }: Edit = {}): Promise<Source> => {
    const tensors = await tensorsOf(shards);
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

/** Every tensor as it is read. */
export async function tensorsOf(shards: Shards): Promise<Tensors> {
  const tensors: Tensors = new Map();
  for (const { name, dtype, shape } of shards.tensors.values())
    tensors.set(name, { spec: { name, dtype, shape }, bytes: Uint8Array.from(await shards.readTensor(name)) });
  return tensors;
}

/** Adds random biases to the layers of these kinds. */
export function addBiases(tensors: Tensors, kinds: readonly string[]): Tensors {
  const next = mulberry32(5);
  for (const { spec } of [...tensors.values()]) {
    const name = spec.name.replace(/weight$/, "bias");
    if (!kinds.some((kind) => name.endsWith(`.${kind}.bias`))) continue;
    const words = toF16Words(Float64Array.from({ length: spec.shape[0] }, () => next() / 2 ** 31 - 1));
    tensors.set(name, { spec: { name, dtype: "F16", shape: [spec.shape[0]] }, bytes: new Uint8Array(words.buffer) });
  }
  return tensors;
}

/** A tensor multiplied by a factor, value by value, in its own 16 or 32 bits. */
export function scale(tensors: Map<string, Stored>, name: string, factor: (i: number) => number): void {
  const tensor = tensors.get(name)!;
  const dtype = (tensor.spec?.dtype ?? tensor.type) as FloatDtype;
  const values = toFloats(tensor.bytes, dtype).map((x, i) => x * factor(i));
  tensors.set(name, { ...tensor, bytes: convertFloats(new Uint8Array(values.buffer), "F32", dtype) });
}

interface Stored {
  bytes: Uint8Array;
  spec?: { dtype: string };
  type?: string;
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
