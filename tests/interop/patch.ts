/** Takes an export apart, so that a test can put it together wrongly. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folderSource } from "../../src/io/node";
import { openShards } from "../../src/io/shards";
import { safetensors, type Tensors } from "../support/tiny";

export interface Parts {
  tensors: Tensors;
  config: { quantization_config: Record<string, unknown>; [field: string]: unknown };
}

const weights = "model.safetensors";

/** A copy of the export `from`, changed by `edit`, in `to`. */
export async function patched(from: string, to: string, edit: (parts: Parts) => void): Promise<string> {
  cpSync(from, to, { recursive: true });
  const parts = { tensors: await tensorsOf(from), config: JSON.parse(readFileSync(join(from, "config.json"), "utf8")) };
  edit(parts);
  writeFileSync(join(to, weights), safetensors(parts.tensors));
  writeFileSync(join(to, "config.json"), JSON.stringify(parts.config));
  if (parts.config.quantization_config) writeFileSync(join(to, "quantize_config.json"), JSON.stringify(parts.config.quantization_config));
  return to;
}

/** The same export in two files with an index, which `edit` may change. */
export async function sharded(from: string, to: string, edit: (index: { weight_map: Record<string, string> }) => void): Promise<string> {
  cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith(weights) });
  const list = [...(await tensorsOf(from))];
  const half = Math.ceil(list.length / 2);
  const files = [list.slice(0, half), list.slice(half)].map((part, i) => ({ name: `model-0000${i + 1}-of-00002.safetensors`, part }));
  for (const { name, part } of files) writeFileSync(join(to, name), safetensors(new Map(part)));
  const index = {
    metadata: { total_size: list.reduce((sum, [, t]) => sum + t.bytes.length, 0) },
    weight_map: Object.fromEntries(files.flatMap(({ name, part }) => part.map(([tensor]) => [tensor, name]))),
  };
  edit(index);
  writeFileSync(join(to, "model.safetensors.index.json"), JSON.stringify(index));
  return to;
}

export async function tensorsOf(folder: string): Promise<Tensors> {
  const shards = await openShards(await folderSource(folder));
  const tensors: Tensors = new Map();
  // A copy: views of other types need its start aligned.
  for (const { name, dtype, shape } of shards.tensors.values())
    tensors.set(name, { spec: { name, dtype, shape }, bytes: Uint8Array.from(await shards.readTensor(name)) });
  return tensors;
}

/** A tensor's words of 32 bits, in place. */
export const words = (tensors: Tensors, name: string) => new Uint32Array(tensors.get(name)!.bytes.buffer);
/** A tensor's words of 16 bits, in place. */
export const halves = (tensors: Tensors, name: string) => new Uint16Array(tensors.get(name)!.bytes.buffer);
