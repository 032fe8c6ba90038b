import { QuantError } from "../errors";
import type { Checkpoint } from "../model/checkpoint";
import type { LayerPlan, RunPlan } from "../quant/layer-plan";
import { quantizers } from "../quant/registry";
import type { FormatId } from "../recipe/recipe";
import type { Layout } from "./containers/container";
import * as all from "./formats";
import { checkKinds, type Entry, type ExportJob, type Format, type RunChanges } from "./formats/format";

/** Every export format by its id; the compiler asks for each that recipe/formats.ts names. */
export const formats: Readonly<Record<FormatId, Format>> = all;

const nothing: RunChanges = { replaced: new Set<string>(), wide: new Set<string>() };

/** A run's export. @param changes what the run made of tensors that it did not quantize, where it has finished. */
export const exportJob = (model: Checkpoint, plan: RunPlan, changes: RunChanges = nothing): ExportJob => ({ model, plan, changes });

/**
 * Every tensor of an export, known before any of them is made.
 * @throws QuantError `bad-format` when the format cannot hold what the recipe makes of this model.
 */
export function entriesOf(job: ExportJob): Entry[] {
  const { model, plan } = job;
  const { recipe, layers, tables } = plan;
  const format = formats[recipe.format];
  if (format.packed && !model.spec)
    throw new QuantError(
      "bad-format",
      `it is not known which layers of ${model.architecture} clients expect packed`,
      "Use the dense format.",
    );
  if (format.packed) checkPackable(layers);
  checkKinds(recipe.format, format, layers);
  if (tables.length && !format.holdsTables)
    throw new QuantError(
      "bad-format",
      `${tables[0].name} would be rounded, and the ${recipe.format} format has no place for it`,
      "Keep embeddings and head (--vocabulary kept), or use the dense or the GGUF format.",
    );
  format.check(layers, recipe, layers.length === model.layers.length);
  return format.entries(job);
}

/** Where an export's entries go in its files. @throws as `entriesOf` and the format's `container`. */
export async function layoutOf(job: ExportJob, entries = entriesOf(job)): Promise<Layout> {
  const container = await formats[job.plan.recipe.format].container(job);
  return container.layout(entries.map(({ spec }) => spec));
}

function checkPackable(layers: readonly LayerPlan[]): void {
  const method = layers.map((layer) => layer.method).find((m) => !quantizers[m].packable);
  if (method)
    throw new QuantError("bad-format", `${method}'s weights are not on a grid that a packed file could hold`, "Use the dense format.");
}
