/** The chart's numbers: each run's Δ for every block. The chart's table shows the same rows. */
import { measuredOn } from "../../store/measuring";
import type { Run } from "../../store/state";

export interface GrowthView {
  relative: boolean;
  /** Key of the text it was measured on; null: the calibration text, as the run itself reported it. */
  text: string | null;
}

/** `block` counts from 1; the other keys are run ids. */
export type ChartRow = { block: number } & Record<string, number>;

export function pointsOf(run: Run, view: GrowthView): { block: number; value: number }[] {
  const blocks = view.text === null ? run.blocks : (measuredOn(run, view.text)?.evaluation.blocks ?? []);
  return blocks.map((b) => ({ block: b.index + 1, value: view.relative ? b.relativeDelta : b.delta }));
}

export function growthRows(runs: Run[], view: GrowthView): ChartRow[] {
  const blocks = Math.max(0, ...runs.map((r) => r.totalBlocks));
  const rows: ChartRow[] = Array.from({ length: blocks }, (_, i) => ({ block: i + 1 }));
  for (const run of runs) for (const point of pointsOf(run, view)) if (rows[point.block - 1]) rows[point.block - 1][run.id] = point.value;
  return rows;
}

/** Colour and dash of a run, from its slot: never colour alone. */
const dashes = ["", "7 4", "2 4", "12 4 2 4", "5 2 1 2", "14 5", "1 3", "9 3 3 3"];
export const colourOf = (slot: number): string => `var(--series-${slot % 8})`;
/** After eight runs the colours repeat, with other dashes. */
export const dashOf = (slot: number): string => dashes[(slot + Math.floor(slot / 8)) % 8];
