import type { Calibration, TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { ModelSpec } from "../model/spec";
import { embed } from "../model/vocabulary";
import type { Ops, Tensor } from "../ops/ops";

/** Whole windows that go through the network together. */
export interface Chunk {
  ids: Int32Array;
  h: Tensor;
}

const widestBytes = 64 * 2 ** 20;

/** Windows a chunk may hold: its widest activation stays under 64 MiB, well inside the default binding limit of 128 MiB. */
export function windowsPerChunk(spec: ModelSpec, length: number): number {
  const widest = Math.max(spec.intermediate, spec.hidden, spec.heads * spec.headDim) * 4;
  return Math.max(1, Math.floor(Math.min(widestBytes / widest, 4096) / length));
}

/** How many chunks these windows make. */
export const chunkCount = (spec: ModelSpec, tokens: TokenWindows): number =>
  Math.ceil(tokens.windows / windowsPerChunk(spec, tokens.length));

/** The residual stream before block 0, chunk by chunk. */
export async function embedChunks(ops: Ops, model: Model, tokens: TokenWindows): Promise<Chunk[]> {
  const step = windowsPerChunk(model.spec, tokens.length) * tokens.length;
  const chunks: Chunk[] = [];
  for (let from = 0; from < tokens.ids.length; from += step) {
    const ids = tokens.ids.subarray(from, from + step);
    chunks.push({ ids, h: await embed(ops, model, ids) });
  }
  return chunks;
}

/** Where a run's streams start: the chunks of the calibration windows, then those of the windows held out. */
export async function startOf(ops: Ops, model: Model, { tokens, heldOut }: Calibration): Promise<Tensor[]> {
  const own = await embedChunks(ops, model, tokens);
  const held = heldOut ? await embedChunks(ops, model, heldOut) : [];
  return [...own, ...held].map((chunk) => chunk.h);
}
