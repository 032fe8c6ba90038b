import type { Block, Geometry } from "../model/forward";
import type { Stage } from "../model/layers";
import type { Ops } from "../ops/ops";
import type { StoredLayer } from "../quant/stored";
import type { Recipe } from "../recipe/recipe";
import type { Emit, Progress } from "./progress";
import type { FullPrecision, Stream } from "./stream";

/** What quantizing a block works on and tells. */
export interface BlockJob {
  ops: Ops;
  /** The model's shape among it. */
  geometry: Geometry;
  recipe: Recipe;
  /** Calibration tokens, over the streams' first `chunks` chunks. The chunks after them hold the tokens that are in no statistics. */
  tokens: number;
  chunks: number;
  heldTokens: number;
  full: FullPrecision;
  quantized: Stream;
  /** The full-precision stream is only read back. */
  replay: boolean;
  progress: Progress;
  emit: Emit;
  signal?: AbortSignal;
  /** The run's outcome so far. */
  layers: Map<string, StoredLayer>;
  replaced: Map<string, Float32Array>;
  /** Milliseconds spent on the full-precision stream so far. */
  streamMs: number;
}

export const place = (block: Block, stage: Stage) => `block ${block.index + 1}, ${stage.kinds.join(", ")}`;

/** Work on the full-precision stream, its time kept apart: runs that find it kept must compare with runs that do not. */
export async function timed<T>(job: BlockJob, work: () => T): Promise<T> {
  const started = performance.now();
  const value = work();
  if (job.replay) return value;
  await job.ops.flush();
  job.streamMs += performance.now() - started;
  return value;
}
