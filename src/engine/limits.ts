import { QuantError } from "../errors";
import { layerShape, stages } from "../model/layers";
import type { ModelSpec } from "../model/spec";
import { type RunPlan, stageLayers } from "../quant/layer-plan";
import type { AdapterFacts } from "../results/adapter";
import { stageNeeds } from "./work";

interface Largest {
  what: string;
  bytes: number;
}

/** The largest matrix that a run holds on the device in one piece, in f32: a layer's weights, or H of a layer's inputs. */
export function largestMatrix(spec: ModelSpec, plan: RunPlan): Largest {
  let largest: Largest = { what: "", bytes: 0 };
  const see = (what: string, [rows, columns]: readonly [number, number]) => {
    const bytes = 4 * rows * columns;
    if (bytes > largest.bytes) largest = { what, bytes };
  };
  for (const stage of stages) {
    for (const kind of stage.kinds) see(`the weights of ${kind}`, layerShape(spec, kind));
    const [kind] = stage.kinds;
    const n = layerShape(spec, kind)[1];
    const blocks = plan.recipe.rules.length ? plan.quantizedBlocks : Math.min(1, plan.quantizedBlocks);
    for (let m = 0; m < blocks; m++) if (stageNeeds(stageLayers(plan, m, stage)).H) see(`the Hessian of ${kind}'s inputs`, [n, n]);
  }
  return largest;
}

/** The same for a run without calibration, which needs no H. */
export function largestWeights({ layers }: RunPlan): Largest {
  return layers
    .map(({ name, shape }) => ({ what: `the weights of ${name}`, bytes: 4 * shape[0] * shape[1] }))
    .reduce((most, layer) => (layer.bytes > most.bytes ? layer : most), { what: "", bytes: 0 });
}

/** @throws QuantError `gpu-limit` naming what is too large for the device, before any work. */
export function checkLimits({ what, bytes }: Largest, limits: AdapterFacts["limits"]): void {
  if (!limits) return;
  const allowed = Math.min(limits.buffer, limits.binding);
  if (bytes <= allowed) return;
  throw new QuantError(
    "gpu-limit",
    `${what} would take ${mebibytes(bytes)}, but this GPU allows ${mebibytes(allowed)} for one matrix`,
    "Use a GPU or driver with larger limits, RTN with α 0 (which needs no Hessian) where that is what is too large, or the command line with --cpu.",
  );
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / 2 ** 20).toLocaleString("en")} MiB`;
