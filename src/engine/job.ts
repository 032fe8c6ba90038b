import type { Block, Geometry } from "../model/forward";
import type { Stage } from "../model/layers";
import type { Activations } from "../ops/activations";
import type { RunPlan } from "../quant/layer-plan";
import type { FullPrecision } from "./full-precision";
import type { Emit, Progress } from "./progress";
import type { Stream } from "./stream";
import type { Load } from "./work";

/** What quantizing a block works on and whom it tells. */
export interface BlockJob {
  activations: Activations;
  /** The model's shape among it. */
  geometry: Geometry;
  plan: RunPlan;
  load: Load;
  /** Calibration tokens are in the streams' first `chunks` chunks. Those after them hold the tokens that are in no statistics. */
  chunks: number;
  full: FullPrecision;
  quantized: Stream;
  /** The full-precision stream is only read back. */
  replay: boolean;
  progress: Progress;
  emit: Emit;
  signal?: AbortSignal;
  /** Milliseconds spent on the full-precision stream in this block. */
  streamMs: number;
}

export const placeName = (block: Block, stage: Stage) => `block ${block.index + 1}, ${stage.kinds.join(", ")}`;

/** Work on the full-precision stream, its time kept apart: runs that find it kept must compare with runs that do not. */
export async function onFullStream<T>(job: BlockJob, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const value = await work();
  if (job.replay) return value;
  await job.activations.ops.flush();
  job.streamMs += performance.now() - started;
  return value;
}
