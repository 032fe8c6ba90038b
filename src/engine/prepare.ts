import type { Block } from "../model/block";
import type { Stage } from "../model/layers";
import type { Tensor } from "../ops/ops";
import { freeFactor, type InverseFactor, inverseFactor, settled } from "../quant/factor";
import type { LayerPlan } from "../quant/layer-plan";
import { crossed } from "../quant/qep";
import type { LayerKind } from "../recipe/recipe";
import type { Correction } from "./correct";
import type { BlockJob } from "./job";
import { crossesEarly, factorsWanted, stageNeeds } from "./needs";
import { accumulate, type Inputs, type Statistics } from "./statistics";

/** What all layers of a stage share. */
export interface PreparedStage {
  inputs: Inputs;
  /** H and C as far as they are still needed. */
  statistics: Statistics;
  /** float [in]: H's diagonal; null where no H was asked for. */
  diagonal: Tensor | null;
  /** One for each of the settings that QEP and the methods want. */
  factors: InverseFactor[];
  correction: Correction | null;
}

/** The statistics of a stage's inputs, and all factors. What nobody needs any longer is freed before the next matrix of its size is made. */
export async function prepareStage(job: BlockJob, block: Block, stage: Stage, plans: readonly LayerPlan[]): Promise<PreparedStage> {
  const { activations, full, quantized, load, chunks, signal } = job;
  const { ops } = activations;
  const needs = stageNeeds(plans);
  const inputs: Inputs = { chunks, x: (c) => full.x(c, stage), xq: (c) => quantized.x(c) };
  const weights = plans.map(({ kind }) => block.weights[kind as LayerKind]);
  const statistics = await accumulate(ops, inputs, weights, load.tokens, needs, signal);
  const diagonal = statistics.H && ops.diagonal(statistics.H);
  const early = crossesEarly(plans) ? crossAll(job, block, plans, statistics) : new Map<LayerKind, Tensor>();
  if (early.size && !needs.keepsC) release(job, statistics, "C");
  const factors = await factorsOf(job, plans, statistics);
  const correction = needs.corrected ? { factor: factors[0], C: statistics.C, crossed: early } : null;
  return { inputs, statistics, diagonal, factors, correction };
}

export function freePrepared({ activations: { ops } }: BlockJob, { statistics: { H, C }, factors, correction }: PreparedStage): void {
  for (const factor of factors) freeFactor(ops, factor);
  ops.free(...[H, C, ...(correction?.crossed.values() ?? [])].filter((t) => t !== null));
}

/** W·C of all layers. */
function crossAll(
  { activations: { ops } }: BlockJob,
  block: Block,
  plans: readonly LayerPlan[],
  { H, C }: Statistics,
): Map<LayerKind, Tensor> {
  const dead = ops.deadInputs(H!);
  const products = new Map(plans.map(({ kind }) => [kind as LayerKind, crossed(ops, block.weights[kind as LayerKind], C!, dead)]));
  ops.free(dead);
  return products;
}

async function factorsOf(job: BlockJob, plans: readonly LayerPlan[], statistics: Statistics): Promise<InverseFactor[]> {
  const wanted = factorsWanted(plans).map((factor) => settled(factor, plans[0].shape[1], job.load.tokens));
  const factors: InverseFactor[] = [];
  for (const [i, settings] of wanted.entries()) {
    const isLast = i === wanted.length - 1 && !stageNeeds(plans).keepsH;
    factors.push(
      await inverseFactor(job.activations.ops, statistics.H!, settings, isLast ? () => release(job, statistics, "H") : undefined),
    );
  }
  return factors;
}

function release({ activations: { ops } }: BlockJob, statistics: Statistics, which: "H" | "C"): void {
  const tensor = statistics[which];
  statistics[which] = null;
  if (tensor) ops.free(tensor);
}
