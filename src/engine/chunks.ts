import type { Calibration, TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { ModelSpec } from "../model/spec";
import { embedded, embeddingRows } from "../model/vocabulary";
import type { Activation, Activations } from "../ops/activations";

const widestBytes = 64 * 2 ** 20;

/** How many windows a chunk may hold: its widest activation stays under 64 MiB, well inside WebGPU's default binding limit of 128 MiB. */
export function windowsPerChunk(spec: ModelSpec, length: number): number {
  const widest = Math.max(spec.intermediate, spec.hidden, spec.heads * spec.headDim) * 4;
  return Math.max(1, Math.floor(Math.min(widestBytes / widest, 4096) / length));
}

/** How many chunks these windows make. */
export const chunkCount = (spec: ModelSpec, tokens: TokenWindows): number =>
  Math.ceil(tokens.windows / windowsPerChunk(spec, tokens.length));

/** The ids of whole windows that go through the network together, chunk by chunk. */
export function chunksOf(spec: ModelSpec, { ids, length }: TokenWindows): Int32Array[] {
  const step = windowsPerChunk(spec, length) * length;
  return Array.from({ length: Math.ceil(ids.length / step) }, (_, c) => ids.subarray(c * step, (c + 1) * step));
}

/** Bytes of embedding rows gathered in one pass over the table. */
const gatheredBytes = 256 * 2 ** 20;

/** The embedding rows of each chunk of ids, in the bytes of the file's dtype. */
export async function* embeddingRowsOf(model: Model, chunks: readonly Int32Array[]): AsyncGenerator<Uint8Array> {
  let group: Int32Array[] = [];
  for (const [c, ids] of chunks.entries()) {
    group.push(ids);
    const bytes = 4 * model.spec.hidden * group.reduce((sum, each) => sum + each.length, 0);
    if (bytes < gatheredBytes && c < chunks.length - 1) continue;
    yield* await embeddingRows(model, group);
    group = [];
  }
}

/** The residual stream before block 0 of each chunk of ids. */
export async function embedChunks(activations: Activations, model: Model, chunks: readonly Int32Array[]): Promise<Activation[]> {
  const held: Activation[] = [];
  for await (const rows of embeddingRowsOf(model, chunks)) held.push(await activations.hold(embedded(activations.ops, model, rows)));
  return held;
}

/** The chunks of a run's streams: those of the calibration windows, then those of the windows held out. */
export const runChunks = (spec: ModelSpec, { tokens, heldOut }: Calibration): Int32Array[] =>
  [tokens, heldOut].flatMap((windows) => (windows ? chunksOf(spec, windows) : []));
