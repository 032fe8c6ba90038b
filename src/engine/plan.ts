import { QuantError } from "../errors";
import type { LayerShape } from "../export/format";
import { formats, pieces, plannedLayers } from "../export/layout";
import { findFile } from "../io/source";
import { specBytes } from "../io/writer";
import type { Calibration, TokenWindows } from "../model/calibration";
import { census, type Model } from "../model/checkpoint";
import { layerName, layerShape, type Stage, stages } from "../model/layers";
import { packingTitle } from "../model/packing";
import type { ModelSpec } from "../model/spec";
import { groupBits } from "../ops/grid-kinds";
import { quantizers } from "../quant/registry";
import { isBase, type LayerKind, layerKinds, type Recipe } from "../recipe/recipe";
import { matches, settingsOf } from "../recipe/rules";
import { parseRecipe } from "../recipe/schema";
import type { PlanSummary } from "../results/plan";
import { windowsPerChunk } from "./chunks";
import { peakBytes, recordingBytes } from "./memory";
import { byMethod, loadOf, quantizedBlocks, runWork } from "./work";

/** The full-precision stream is kept on the device for the next run while it takes no more than this. */
const recordingBudget = 2 ** 30;

export function fitsRecording(spec: ModelSpec, calibration: Calibration): boolean {
  const { tokens, heldTokens } = loadOf(calibration);
  return recordingBytes(spec, tokens + heldTokens) <= recordingBudget;
}

/** Bits of one quantized weight in a packed file: its code, and its share of its group's scale and zero. */
export function bitsPerWeight(layers: Iterable<LayerShape>): number {
  let weights = 0;
  let total = 0;
  for (const { shape, bits, groups, gridKind } of layers) {
    weights += shape[0] * shape[1];
    total += shape[0] * (shape[1] * bits + groups * groupBits(gridKind, bits));
  }
  return total / weights;
}

/** @throws QuantError `bad-recipe`, `bad-rule`; `group-size` naming the first layer whose inputs the group does not divide, and the sizes that fit all. */
export function checkRecipe(spec: ModelSpec, recipe: Recipe): void {
  parseRecipe(recipe);
  if (spec.packing)
    throw new QuantError(
      "bad-recipe",
      `the checkpoint is quantized already (${packingTitle(spec.packing)})`,
      "Open the original f16, bf16 or f32 checkpoint; this one can be measured.",
    );
  if (recipe.blocks !== null && recipe.blocks > spec.blocks)
    throw new QuantError("bad-recipe", `blocks is ${recipe.blocks}, the model has ${spec.blocks}`, `Use at most ${spec.blocks}.`);
  const layers = Array.from({ length: spec.blocks }, (_, m) => layerKinds.map((kind) => ({ name: layerName(m, kind), kind }))).flat();
  checkRules(recipe, layers);
  for (let m = 0; m < quantizedBlocks(spec, recipe); m++) for (const stage of stages) checkStage(recipe, m, stage);
  for (const { name, kind } of layers) checkLayer(spec, recipe, name, kind);
}

/** @throws QuantError `bad-rule` for one that no layer heeds. */
export function checkRules(recipe: Recipe, layers: readonly { readonly name: string }[]): void {
  const idle = recipe.rules.find((rule) => !layers.some(({ name }) => matches(rule.match, name)));
  if (idle)
    throw new QuantError(
      "bad-rule",
      `“${idle.match}” is the name of no layer`,
      "Name a kind such as down_proj, or the end of a name such as layers.0.*",
    );
}

function checkStage(recipe: Recipe, block: number, stage: Stage): void {
  const methods = [
    ...byMethod(
      recipe,
      stage.kinds.map((kind) => ({ name: layerName(block, kind) })),
    ).keys(),
  ];
  const whole = methods.find((method) => quantizers[method].wholeStage);
  if (whole && methods.length > 1)
    throw new QuantError(
      "bad-rule",
      `block ${block + 1}: ${methods.join(" and ")} for ${stage.kinds.join(", ")}, whose shared inputs ${whole} scales`,
      `Give all of ${stage.kinds.join(", ")} the same method.`,
    );
}

function checkLayer(spec: ModelSpec, recipe: Recipe, name: string, kind: LayerKind): void {
  const settings = settingsOf(recipe, name);
  quantizers[settings.method].check?.(settings);
  const fits = (k: LayerKind, group: number) => layerShape(spec, k)[1] % group === 0;
  if (settings.groupSize < 0 || fits(kind, settings.groupSize)) return;
  const fitting = [32, 64, 128].filter((g) => layerKinds.every((k) => fits(k, g)));
  throw new QuantError(
    "group-size",
    `${settings.groupSize} does not divide the ${layerShape(spec, kind)[1]} inputs of ${kind}`,
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
export function plan(model: Model, recipe: Recipe, calibration: Calibration, { rate, stream }: Circumstances): PlanSummary {
  const { spec } = model;
  const { tokens } = calibration;
  checkRecipe(spec, recipe);
  const layers = [...plannedLayers(model, recipe).values()];
  const load = loadOf(calibration);
  const most = Math.max(tokens.windows, calibration.heldOut?.windows ?? 0);
  const chunk = Math.min(windowsPerChunk(spec, tokens.length), most) * tokens.length;
  return {
    bytesIn: census(model.original ?? model).bytes,
    bytesOut: pieces(model, recipe).reduce((sum, piece) => sum + specBytes(piece.spec), 0),
    bitsPerWeight: bitsPerWeight(layers),
    quantizedWeights: layers.reduce((sum, { shape }) => sum + shape[0] * shape[1], 0),
    tokens: load.tokens,
    windows: tokens.windows,
    heldOutWindows: calibration.heldOut?.windows ?? 0,
    peakGpuBytes: peakBytes(spec, recipe, load.tokens + load.heldTokens, chunk, stream !== "passing"),
    seconds: (runWork(spec, recipe, load, stream === "kept") * rate) / 1000,
    streamKept: stream === "kept",
    warnings: warnings(model, recipe, tokens),
    notes: formats[recipe.format].notes(recipe, model),
  };
}

function warnings({ spec, source, original }: Model, recipe: Recipe, tokens: TokenWindows): string[] {
  const widest = Math.max(...layerKinds.map((kind) => layerShape(spec, kind)[1]));
  const told: string[] = [];
  if (tokens.ids.length < widest && !isBase(recipe))
    told.push(
      `${tokens.ids.length} calibration tokens are fewer than the widest layer's ${widest} inputs: the correction will be noisy. Use more windows.`,
    );
  if (original?.spec?.tied) told.push("The rotation unties the head from the embeddings: the file holds it twice.");
  if (formats[recipe.format].packed && !findFile(source, "tokenizer.json"))
    told.push("GPTQModel loads no checkpoint without a tokenizer: add tokenizer.json for it. transformers does not ask.");
  return told;
}
