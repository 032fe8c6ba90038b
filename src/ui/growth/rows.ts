/** The chart's numbers: Δ for every block, of each run or comparison. The chart's table shows the same rows. */
import type { BlockReport } from "../../results/report";
import { measuredOn } from "../../store/measuring";
import type { Compared, Run } from "../../store/state";
import { runTitle } from "../format";
import { strings } from "../strings";

export interface GrowthView {
  relative: boolean;
  /** Key of the text it was measured on; null: the calibration text, as the run itself reported it. */
  text: string | null;
}

/** A line of the chart. */
export interface Curve {
  id: string;
  slot: number;
  /** Without and with the run's number. */
  title: string;
  label: string;
  points: { block: number; value: number }[];
  totalBlocks: number;
}

const pointsIn = (blocks: readonly BlockReport[], { relative }: GrowthView) =>
  blocks.map((b) => ({ block: b.index + 1, value: relative ? b.relativeDelta : b.delta }));

export function curveOf(run: Run, view: GrowthView): Curve {
  const blocks = view.text === null ? run.blocks : (measuredOn(run, view.text)?.evaluation.blocks ?? []);
  const title = runTitle(run);
  const { id, slot, number, totalBlocks } = run;
  return { id, slot, title, label: `${number}: ${title}`, points: pointsIn(blocks, view), totalBlocks };
}

/** The open checkpoint's own, beside what it was compared with. @param runs whose colours are taken. */
export function comparedCurves(compared: readonly Compared[], view: GrowthView, runs: readonly Pick<Run, "slot">[]): Curve[] {
  const free = Math.max(-1, ...runs.map(({ slot }) => slot)) + 1;
  return compared.flatMap(({ original, textLabel, result }, at) => {
    if (!result.blocks) return [];
    const title = strings.growth.beside(original, textLabel);
    return [
      {
        id: `compared ${at}`,
        slot: free + at,
        title,
        label: title,
        points: pointsIn(result.blocks, view),
        totalBlocks: result.blocks.length,
      },
    ];
  });
}

/** `block` counts from 1; the other keys are ids of curves. */
export type ChartRow = { block: number } & Record<string, number>;

export function growthRows(curves: readonly Curve[]): ChartRow[] {
  const blocks = Math.max(0, ...curves.map((c) => c.totalBlocks));
  const rows: ChartRow[] = Array.from({ length: blocks }, (_, i) => ({ block: i + 1 }));
  for (const { id, points } of curves) for (const { block, value } of points) if (rows[block - 1]) rows[block - 1][id] = value;
  return rows;
}

/** Colour and dash of a run, from its slot: never colour alone. */
const dashes = ["", "7 4", "2 4", "12 4 2 4", "5 2 1 2", "14 5", "1 3", "9 3 3 3"];
export const colourOf = (slot: number): string => `var(--series-${slot % 8})`;
/** After eight runs the colours repeat, with other dashes. */
export const dashOf = (slot: number): string => dashes[(slot + Math.floor(slot / 8)) % 8];
