import { QuantError } from "../errors";
import { formats, pieces } from "../export/layout";
import { specBytes } from "../io/writer";
import type { TokenWindows } from "../model/calibration";
import { census, type Model } from "../model/checkpoint";
import { layerShape } from "../model/layers";
import { packingTitle } from "../model/packing";
import type { ModelSpec } from "../model/spec";
import { quantizers } from "../quant/registry";
import { layerKinds, type Recipe } from "../recipe/recipe";
import type { PlanSummary } from "../worker/protocol";
import { windowsPerChunk } from "./chunks";
import { peakBytes, recordingBytes } from "./memory";
import { quantizedBlocks, runWork } from "./work";

/** The full-precision stream is kept on the device for the next run while it takes no more than this. */
const recordingBudget = 2 ** 30;

export const fitsRecording = (spec: ModelSpec, tokens: TokenWindows): boolean => recordingBytes(spec, tokens.ids.length) <= recordingBudget;

/** Bits of one quantized weight in a packed file: its code, and its share of an f16 scale and a zero of b bits. */
export function bitsPerWeight(spec: ModelSpec, recipe: Recipe): number {
  const sizes = layerKinds.map((kind) => layerShape(spec, kind));
  const weights = sizes.reduce((sum, [out, n]) => sum + out * n, 0);
  const groups = sizes.reduce((sum, [out, n]) => sum + out * (recipe.groupSize < 0 ? 1 : n / recipe.groupSize), 0);
  return recipe.bits + (groups * (16 + recipe.bits)) / weights;
}

/** @throws QuantError `group-size` naming the first layer whose inputs the group does not divide, and the sizes that fit all. */
export function checkRecipe(spec: ModelSpec, recipe: Recipe): void {
  if (spec.packing)
    throw new QuantError(
      "bad-recipe",
      `the checkpoint is quantized already (${packingTitle(spec.packing)})`,
      "Open the original f16, bf16 or f32 checkpoint; this one can be measured.",
    );
  if (recipe.blocks !== null && recipe.blocks > spec.blocks)
    throw new QuantError("bad-recipe", `blocks is ${recipe.blocks}, the model has ${spec.blocks}`, `Use at most ${spec.blocks}.`);
  quantizers[recipe.method].check?.(recipe);
  if (recipe.groupSize < 0) return;
  const inputs = layerKinds.map((kind) => ({ kind, n: layerShape(spec, kind)[1] }));
  const misfit = inputs.find(({ n }) => n % recipe.groupSize);
  if (!misfit) return;
  const fitting = [32, 64, 128].filter((g) => inputs.every(({ n }) => n % g === 0));
  throw new QuantError(
    "group-size",
    `${recipe.groupSize} does not divide the ${misfit.n} inputs of ${misfit.kind}`,
    `Sizes that fit every layer: ${["−1 (the whole row)", ...fitting].join(", ")}.`,
  );
}

/** What the plan has to know of the adapter and of the full-precision stream: not recorded, to be recorded, or there already. */
export interface Circumstances {
  /** Milliseconds per unit of work. */
  rate: number;
  stream: "passing" | "recorded" | "kept";
}

/** What a run would take, before it starts. @throws QuantError `group-size`, `bad-recipe`. */
export function plan(model: Model, recipe: Recipe, tokens: TokenWindows, { rate, stream }: Circumstances): PlanSummary {
  const { spec } = model;
  checkRecipe(spec, recipe);
  const weightsOfBlock = layerKinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0] * layerShape(spec, kind)[1], 0);
  const quantizedWeights = weightsOfBlock * quantizedBlocks(spec, recipe);
  const chunk = Math.min(windowsPerChunk(spec, tokens.length), tokens.windows) * tokens.length;
  return {
    bytesIn: census(model).bytes,
    bytesOut: pieces(model, recipe).reduce((sum, piece) => sum + specBytes(piece.spec), 0),
    bitsPerWeight: bitsPerWeight(spec, recipe),
    quantizedWeights,
    tokens: tokens.ids.length,
    windows: tokens.windows,
    peakGpuBytes: peakBytes(spec, recipe, tokens.ids.length, chunk, stream !== "passing"),
    seconds: (runWork(spec, recipe, tokens.ids.length, tokens.length, stream === "kept") * rate) / 1000,
    streamKept: stream === "kept",
    warnings: warnings(spec, recipe, tokens),
    notes: formats[recipe.format].notes(recipe),
  };
}

function warnings(spec: ModelSpec, recipe: Recipe, tokens: TokenWindows): string[] {
  const widest = Math.max(...layerKinds.map((kind) => layerShape(spec, kind)[1]));
  const few = tokens.ids.length < widest && (recipe.qep.alpha > 0 || Object.values(recipe.qep.alphaFor).some((a) => a > 0));
  return few
    ? [
        `${tokens.ids.length} calibration tokens are fewer than the widest layer's ${widest} inputs: the correction will be noisy. Use more windows.`,
      ]
    : [];
}
