import { QuantError } from "../errors";
import type { Checkpoint } from "../model/checkpoint";
import { blockCount } from "../model/generic";
import { embeddingName, headName, type LinearLayer, type Stage, stages } from "../model/layers";
import { packingTitle } from "../model/packing";
import type { ModelSpec } from "../model/spec";
import { scaleBits } from "../recipe/formats";
import { isBase, layerKinds, methodOptions, needsHeldOut, type Recipe } from "../recipe/recipe";
import { matches, settingsOf } from "../recipe/rules";
import { parseRecipe } from "../recipe/schema";
import { destinationFault } from "../recipe/suiting";
import type { TensorType, TypeMix } from "../recipe/types";
import { byMethod, type LayerPlan, type RunPlan, stageLayers, type TablePlan } from "./layer-plan";
import { isMix, tableTypes, typeInMix } from "./mixes";
import { gridSpec } from "./quantizer";
import { quantizers } from "./registry";
import { typeFor, types } from "./types";

/**
 * Settles a recipe for a checkpoint, layer by layer. A checkpoint that cannot be run can only be rounded to nearest.
 * @throws QuantError `bad-recipe`, `bad-rule`, `quantized-already`; `bad-format` where its destination could not load the result; `group-size` naming the first layer whose inputs the group does not divide.
 */
export function resolve(recipe: Recipe, checkpoint: Checkpoint): RunPlan {
  parseRecipe(recipe);
  const fault = destinationFault(recipe);
  if (fault) throw new QuantError("bad-format", fault.what, fault.hint);
  checkRules(recipe, checkpoint.layers);
  const blocks = checkpoint.spec?.blocks ?? blockCount(checkpoint.layers);
  const quantizedBlocks = Math.min(recipe.blocks ?? blocks, blocks);
  const all = checkpoint.layers.map((layer) => planOf(recipe, layer, checkpoint, blocks));
  const layers = all.filter((layer) => layer.block < quantizedBlocks);
  const tables = checkpoint.spec ? tablesOf(recipe, checkpoint.spec) : [];
  const plan = { recipe, blocks, quantizedBlocks, layers, tables, holdsOut: needsHeldOut(recipe) };
  if (checkpoint.spec) checkRunnable(plan, checkpoint.spec, checkpoint.stored?.title);
  else checkRounding(plan, all, checkpoint.architecture);
  for (const layer of all) checkLayer(layer, all);
  return plan;
}

function planOf(recipe: Recipe, layer: LinearLayer, { spec }: Checkpoint, blocks: number): LayerPlan {
  const { method, bits, groupSize, symmetric, zeros, type: wanted, alpha, alphaFixed } = settingsOf(recipe, layer.name);
  const type = wanted === "none" ? null : typeOf(wanted, layer, spec, blocks);
  return {
    ...layer,
    method,
    options: methodOptions(recipe),
    type,
    grid: type
      ? types[type].grid
      : gridSpec({ bits, groupSize, symmetric, kind: `${zeros}-zero`, scaleBits: scaleBits(recipe.format, bits) }),
    alpha,
    choice: alphaFixed ? "given" : recipe.qep.choice,
    damp: recipe.qep.damp,
  };
}

/** Embeddings and head on the types that llama.cpp gives them; tied, they are the head. */
function tablesOf({ type, vocabulary }: Recipe, { vocabulary: rows, hidden, tied }: ModelSpec): TablePlan[] {
  if (type === "none" || vocabulary === "kept") return [];
  const wanted = tableTypes(type);
  const table = (tensor: string, of: TensorType): TablePlan => {
    const found = typeFor(of, hidden);
    return { name: tensor.replace(/\.weight$/, ""), shape: [rows, hidden], type: found, grid: types[found].grid };
  };
  return tied ? [table(embeddingName, wanted.head)] : [table(embeddingName, wanted.embeddings), table(headName, wanted.head)];
}

/** The type that a layer gets of a wanted type or mix. */
export function typeOf(
  wanted: TensorType | TypeMix,
  { kind, block, shape }: Pick<LinearLayer, "kind" | "block" | "shape">,
  spec: ModelSpec | null,
  blocks: number,
): TensorType {
  const sharing = spec ? spec.heads / spec.kvHeads : 1;
  return typeFor(isMix(wanted) ? typeInMix(wanted, { kind, block, blocks, sharing }) : wanted, shape[1]);
}

/** A rule that matches no layer is a mistake. */
function checkRules(recipe: Recipe, layers: readonly LinearLayer[]): void {
  const idle = recipe.rules.find((rule) => !layers.some(({ name }) => matches(rule.match, name)));
  if (idle)
    throw new QuantError(
      "bad-rule",
      `“${idle.match}” matches no layer`,
      "Name a kind such as down_proj, or the end of a name such as layers.0.*",
    );
  const unheard = recipe.type === "none" ? undefined : recipe.rules.find((rule) => (rule.bits ?? rule.groupSize) && !rule.type);
  if (unheard)
    throw new QuantError(
      "bad-rule",
      `“${unheard.match}” sets bits or groups, which the type settles`,
      "Give the rule a type, such as type=Q6_K, or none.",
    );
}

function checkRunnable(plan: RunPlan, { packing }: ModelSpec, stored: string | undefined): void {
  const { recipe, blocks, quantizedBlocks } = plan;
  if (stored !== undefined)
    throw new QuantError("quantized-already", stored, "Open the original checkpoint (safetensors); this file can be measured.");
  if (packing)
    throw new QuantError(
      "quantized-already",
      packingTitle(packing),
      "Open the original f16, bf16 or f32 checkpoint; this one can be measured.",
    );
  if (recipe.blocks !== null && recipe.blocks > blocks)
    throw new QuantError("bad-recipe", `blocks is ${recipe.blocks}, but the model has only ${blocks}`, `Use at most ${blocks}.`);
  for (let m = 0; m < quantizedBlocks; m++) for (const stage of stages) checkStage(stageLayers(plan, m, stage), m, stage);
}

function checkStage(layers: readonly LayerPlan[], block: number, stage: Stage): void {
  const methods = [...byMethod(layers).keys()];
  const whole = methods.find((method) => quantizers[method].wholeStage);
  if (whole && methods.length > 1)
    throw new QuantError(
      "bad-rule",
      `block ${block + 1}: ${methods.join(" and ")} for ${stage.kinds.join(", ")}, whose shared inputs ${whole} scales`,
      `Give all of ${stage.kinds.join(", ")} the same method.`,
    );
}

/** Without a forward pass there is nothing to calibrate on. */
function checkRounding({ recipe, layers }: RunPlan, all: readonly LayerPlan[], architecture: string): void {
  if (!isBase(recipe) || all.some(({ method }) => method !== "rtn") || recipe.rotation !== null)
    throw new QuantError(
      "bad-recipe",
      `${architecture} cannot be run here, so nothing can be calibrated`,
      "Use RTN with α 0 and no rotation.",
    );
  if (!layers.length)
    throw new QuantError(
      "bad-recipe",
      `the first ${recipe.blocks} blocks have no linear layer that can be recognised`,
      "Quantize more blocks.",
    );
}

function checkLayer({ name, kind, shape, method, grid }: LayerPlan, all: readonly LayerPlan[]): void {
  quantizers[method].check?.(grid);
  const { groupSize } = grid;
  if (groupSize < 0 || shape[1] % groupSize === 0) return;
  const fitting = [32, 64, 128].filter((size) => all.every((layer) => layer.shape[1] % size === 0));
  throw new QuantError(
    "group-size",
    `${groupSize} does not divide the ${shape[1]} inputs of ${(layerKinds as readonly string[]).includes(kind) ? kind : name}`,
    `Sizes that fit every layer: ${["−1 (the whole row)", ...fitting].join(", ")}.`,
  );
}
