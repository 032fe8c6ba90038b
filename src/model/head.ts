import { toFloats } from "../io/dtype";
import type { Shards } from "../io/types";
import { embeddingName, headName } from "./layers";

const sliceBytes = 32 * 2 ** 20;

/** Whether the checkpoint holds a head whose values differ from the embeddings'. Reads both in slices, up to the first difference. */
export async function hasOtherHead(shards: Shards): Promise<boolean> {
  const [embedding, head] = [embeddingName, headName].map((name) => shards.tensors.get(name));
  if (!embedding || !head) return false;
  const [rows] = embedding.shape;
  const step = Math.max(1, Math.floor(sliceBytes / ((embedding.end - embedding.start) / (rows || 1))));
  for (let from = 0; from < rows; from += step) {
    const range = { from, to: Math.min(rows, from + step) };
    const [a, b] = [await shards.readTensor(embeddingName, range), await shards.readTensor(headName, range)];
    const sameDtype = embedding.dtype === head.dtype;
    if (!(sameDtype ? areEqual(a, b) : areEqual(toFloats(a, embedding.dtype), toFloats(b, head.dtype)))) return true;
  }
  return false;
}

function areEqual(a: Uint8Array | Float32Array, b: Uint8Array | Float32Array): boolean {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
