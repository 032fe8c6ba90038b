import { letCancelIn } from "../io/turn";
import type { Calibration, TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { ModelSpec } from "../model/spec";
import { embedded, embeddingRowBytes, embeddingRows } from "../model/vocabulary";
import type { Activation, Activations } from "../ops/activations";

/** Bytes of the widest activation of a chunk: well inside WebGPU's default binding limit of 128 MiB. */
const widestBytes = 64 * 2 ** 20;

/**
 * How many windows a chunk may hold, by the bytes of its widest activation: 64 MiB, and of a limited memory a thirty-second, as a dozen such things are on the
 * device at once.
 */
export function windowsPerChunk(spec: ModelSpec, length: number, memory: number | null = null): number {
  const widest = Math.max(spec.intermediate, spec.hidden, spec.heads * spec.headDim) * 4;
  const bytes = Math.min(widestBytes, (memory ?? Number.POSITIVE_INFINITY) / 32);
  return Math.max(1, Math.floor(Math.min(bytes / widest, 4096) / length));
}

/** How many chunks of so many windows these windows make. */
export const chunkCount = ({ windows }: TokenWindows, perChunk: number): number => Math.ceil(windows / perChunk);

/** The ids of whole windows that go through the network together, chunk by chunk. */
export function chunksOf(tokens: TokenWindows, perChunk: number): Int32Array[] {
  const step = perChunk * tokens.length;
  return Array.from({ length: chunkCount(tokens, perChunk) }, (_, c) => tokens.ids.subarray(c * step, (c + 1) * step));
}

/** Bytes of embedding rows gathered in one pass over the table. */
const gatheredBytes = 256 * 2 ** 20;

/** The embedding rows of each chunk of ids, in the bytes of the file's dtype. @throws QuantError `cancelled`. */
export async function* embeddingRowsOf(
  model: Model,
  chunks: readonly Int32Array[],
  signal?: AbortSignal,
  most = gatheredBytes,
): AsyncGenerator<Uint8Array> {
  const rowBytes = embeddingRowBytes(model);
  let group: Int32Array[] = [];
  for (const [c, ids] of chunks.entries()) {
    group.push(ids);
    const bytes = rowBytes * group.reduce((sum, each) => sum + each.length, 0);
    if (bytes < most && c < chunks.length - 1) continue;
    yield* await embeddingRows(model, group, signal);
    group = [];
  }
}

/** The residual stream before block 0 of each chunk of ids. @throws QuantError `cancelled`. */
export async function embedChunks(
  activations: Activations,
  model: Model,
  chunks: readonly Int32Array[],
  signal?: AbortSignal,
): Promise<Activation[]> {
  const held: Activation[] = [];
  for await (const rows of embeddingRowsOf(model, chunks, signal)) {
    held.push(await activations.hold(embedded(activations.ops, model, rows)));
    await letCancelIn(signal);
  }
  return held;
}

/** Tokens of a run's largest chunk. */
export const chunkTokens = ({ tokens, heldOut }: Calibration, perChunk: number): number =>
  Math.min(perChunk, Math.max(tokens.windows, heldOut?.windows ?? 0)) * tokens.length;

/** The chunks of a run's streams: those of the calibration windows, then those of the windows held out. */
export const runChunks = ({ tokens, heldOut }: Calibration, perChunk: number): Int32Array[] =>
  [tokens, heldOut].flatMap((windows) => (windows ? chunksOf(windows, perChunk) : []));
