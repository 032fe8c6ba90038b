import type { Block } from "../model/block";
import type { Geometry } from "../model/forward";
import type { Stage } from "../model/layers";
import type { Activations } from "../ops/activations";
import type { RunPlan } from "../quant/layer-plan";
import type { FullPrecision } from "./full-precision";
import type { Emit, Progress } from "./progress";
import type { Stream } from "./stream";
import type { Load } from "./work";

/** What quantizing a block works on, and where its events go. */
export interface BlockJob {
  activations: Activations;
  /** Includes the model's shape. */
  geometry: Geometry;
  plan: RunPlan;
  load: Load;
  /** Calibration tokens are in the streams' first `chunks` chunks. Those after them hold the tokens that are in no statistics. */
  chunks: number;
  full: FullPrecision;
  quantized: Stream;
  /** The full-precision stream is read from a recording, not computed. */
  replay: boolean;
  progress: Progress;
  emit: Emit;
  signal?: AbortSignal;
  /** Milliseconds spent on the full-precision stream in this block. */
  streamMs: number;
}

/** "block 3, q_proj, k_proj, v_proj", for progress and messages. */
export const placeName = (block: Block, stage: Stage) => `block ${block.index + 1}, ${stage.kinds.join(", ")}`;

/** Does work on the full-precision stream and adds its time to `streamMs`, so that runs that reuse a recording can be compared with runs that do not. */
export async function onFullStream<T>(job: BlockJob, work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const value = await work();
  if (job.replay) return value;
  await job.activations.ops.flush();
  job.streamMs += performance.now() - started;
  return value;
}
