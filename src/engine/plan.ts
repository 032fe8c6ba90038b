import { exportJob, formats, layoutOf } from "../export/entries";
import { findFile } from "../io/source";
import type { Calibration, TokenWindows } from "../model/calibration";
import { type Checkpoint, census, type Model } from "../model/checkpoint";
import type { ModelSpec } from "../model/spec";
import type { ActivationBudget } from "../ops/activations";
import { groupBits } from "../ops/grid-kinds";
import { groupsOf, type LayerPlan, type RunPlan } from "../quant/layer-plan";
import type { PlanSummary } from "../results/plan";
import { chunkTokens } from "./chunks";
import { peakBytes, recordingBytes } from "./memory";
import { loadOf, runWork } from "./work";

/** The most bytes that a recording of the full-precision stream may take. */
const recordingBudget = 2 ** 30;

/** Whether the full-precision stream of this calibration is small enough to be recorded. */
export function fitsRecording(spec: ModelSpec, calibration: Calibration): boolean {
  const { tokens, heldTokens } = loadOf(calibration);
  return recordingBytes(spec, tokens + heldTokens) <= recordingBudget;
}

/** Bits of one quantized weight in the format's file, or in a packed one: its code, and its share of its group's scale and zero. */
export function bitsPerWeight({ layers, recipe }: Pick<RunPlan, "layers" | "recipe">): number {
  const { bitsPerWeight: bitsOf = packedBits } = formats[recipe.format];
  let weights = 0;
  let total = 0;
  for (const layer of layers) {
    const count = layer.shape[0] * layer.shape[1];
    weights += count;
    total += count * bitsOf(layer);
  }
  return total / weights;
}

const packedBits = ({ shape, grid }: LayerPlan): number => grid.bits + (groupsOf(shape, grid) * groupBits(grid.kind, grid.bits)) / shape[1];

/** What becomes of a run's full-precision stream: it is not recorded, it is recorded for the next run, or it is replayed from an earlier run's recording. */
export type StreamState = "unrecorded" | "recorded" | "replayed";

/** A plan before it is known where its data will lie. */
export type UnroomedPlan = Omit<PlanSummary, "scratchBytes" | "peakHostBytes">;

/** What the plan needs to know about the adapter and about recordings. */
export interface Circumstances {
  /** Milliseconds per unit of work. */
  rate: number;
  /** Windows of a chunk. */
  perChunk: number;
  budget: ActivationBudget;
  stream: StreamState;
}

/** Bytes of the files that an export would write. @throws QuantError `bad-format`. */
export const exportBytes = async (checkpoint: Checkpoint, plan: RunPlan): Promise<number> =>
  (await layoutOf(exportJob(checkpoint, plan))).fileBytes;

/** What a run would take, before it starts. @throws QuantError `bad-format`. */
export async function planSummary(
  model: Model,
  plan: RunPlan,
  calibration: Calibration,
  { rate, stream, perChunk, budget }: Circumstances,
): Promise<UnroomedPlan> {
  const { spec } = model;
  const { tokens } = calibration;
  const { recipe, layers } = plan;
  const load = loadOf(calibration);
  const chunk = chunkTokens(calibration, perChunk);
  return {
    bytesIn: census(model.original ?? model).bytes,
    bytesOut: await exportBytes(model, plan),
    bitsPerWeight: bitsPerWeight(plan),
    quantizedWeights: layers.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0),
    tokens: load.tokens,
    windows: tokens.windows,
    heldOutWindows: calibration.heldOut?.windows ?? 0,
    peakGpuBytes: peakBytes(spec, plan, load.tokens + load.heldTokens, chunk, stream !== "unrecorded", budget),
    seconds: (runWork(spec, plan, load, stream === "replayed") * rate) / 1000,
    streamKept: stream === "replayed",
    warnings: warnings(model, plan, tokens),
    notes: formats[recipe.format].notes(recipe, model),
  };
}

function warnings({ source, original }: Model, { recipe, layers }: RunPlan, { ids }: TokenWindows): string[] {
  const sentences: string[] = [];
  const corrected = layers.filter(({ alpha, choice }) => alpha > 0 || choice === "best");
  const widest = Math.max(0, ...corrected.map(({ shape }) => shape[1]));
  if (ids.length < widest) {
    const effect = recipe.qep.damp === null ? "the fewer they are, the less is corrected" : "its correction will be noisy";
    sentences.push(`${ids.length} calibration tokens are fewer than the widest layer's ${widest} inputs: ${effect}. Use more windows.`);
  }
  if (original?.spec?.tied) sentences.push("The rotation unties the head from the embeddings: the file holds it twice.");
  const { packed, selfContained, library } = formats[recipe.format];
  if (!findFile(source, "tokenizer.json")) {
    if (library === "transformers.js") sentences.push("transformers.js needs a tokenizer: add tokenizer.json for it.");
    else if (packed && !selfContained)
      sentences.push(
        "GPTQModel and mlx-lm load no checkpoint without a tokenizer: add tokenizer.json for them. transformers does not ask.",
      );
  }
  return sentences;
}
