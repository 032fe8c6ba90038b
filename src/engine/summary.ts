import type { Calibration } from "../model/calibration";
import type { RunPlan } from "../quant/layer-plan";
import { isBase, recipeTitle } from "../recipe/recipe";
import type { LayerReport } from "../results/report";

interface LogMessage {
  level: "info" | "warning";
  message: string;
}

/** The log's line for the start of a run. @param from blocks that are done already. */
export function startMessage({ recipe, holdsOut, blocks }: RunPlan, { tokens, heldOut }: Calibration, from: number): string {
  const damping = isBase(recipe) ? "" : `, damping ${recipe.qep.damp ?? "auto"}`;
  const choice = holdsOut ? `; α is chosen on ${heldOut!.windows} other windows` : "";
  const resumed = from > 0 ? ` ${from} of ${blocks} blocks are done already.` : "";
  return `${recipeTitle(recipe)}: ${tokens.windows} windows of ${tokens.length} tokens${damping}${choice}.${resumed}`;
}

const namedAtMost = 5;

/** How a run's solves went and which α were chosen, for the end of the log: no fallback may go unreported. */
export function summaryOf(plan: RunPlan, layers: readonly LayerReport[]): LogMessage[] {
  const chosen = plan.holdsOut && !isBase(plan.recipe) ? [choiceSummary(plan, layers)] : [];
  return [solveSummary(layers), ...chosen];
}

function solveSummary(layers: readonly LayerReport[]): LogMessage {
  const fallen = layers.filter((l) => l.fallback);
  const climbed = layers.filter((l) => !l.fallback && l.retries > 0);
  if (!fallen.length && !climbed.length) return { level: "info", message: `All ${layers.length} layers were quantized as asked.` };
  const more = fallen.length > namedAtMost ? ", …" : "";
  const names = fallen
    .slice(0, namedAtMost)
    .map((l) => l.name)
    .join(", ");
  return {
    level: "warning",
    message: `${climbed.length} of ${layers.length} layers needed more damping, ${fallen.length} fell back${fallen.length ? ` (${names}${more})` : ""}.`,
  };
}

/** What the held-out windows chose, in numbers. */
function choiceSummary({ recipe, layers: plans }: RunPlan, layers: readonly LayerReport[]): LogMessage {
  const open = new Set(plans.filter(({ choice }) => choice !== "given").map(({ name }) => name));
  const looked = layers.filter((l) => l.heldOut && open.has(l.name));
  const none = looked.filter((l) => l.alpha === 0).length;
  if (recipe.qep.choice === "guarded")
    return {
      level: "info",
      message: `The guard set α to 0 in ${none} of ${looked.length} layers, where QEP makes the error on held-out windows larger.`,
    };
  const mean = looked.reduce((sum, l) => sum + l.alpha, 0) / Math.max(1, looked.length);
  return {
    level: "info",
    message: `Held-out windows chose α ${mean.toFixed(2)} on average over ${looked.length} layers, 0 in ${none} of them.`,
  };
}
