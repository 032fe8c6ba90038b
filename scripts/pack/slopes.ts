/** How times grow, as slopes of log time over log size: a step that grows faster than its arithmetic is done wrong. */
import type { Ops } from "../../src/ops/ops";
import { openMade, recipeOf, report, type Size, type Windows } from "./models";
import { columns, sums } from "./steps";
import { duration, logSlope } from "./timing";
import { fact, type Teller } from "./types";

const tolerance = 0.15;

type Point = readonly [size: number, seconds: number];

function slopeRow(what: string, goal: number, points: readonly Point[], tell: Teller): void {
  const slope = logSlope(points);
  tell.row({
    what,
    measured: `${slope.toFixed(2)} (${points.map(([size, s]) => `${size}: ${duration(s)}`).join(", ")})`,
    goal: `${goal} ± ${tolerance}`,
    met: Math.abs(slope - goal) <= tolerance,
    why: null,
  });
}

export interface SlopeSizes {
  tokens: readonly number[];
  widths: readonly number[];
  /** Tokens while the width grows, and the width while tokens do. */
  fixed: { tokens: number; width: number };
  depth: { size: Size; windows: Windows; blocks: readonly number[] };
}

export async function slopes(ops: Ops, { tokens, widths, fixed, depth }: SlopeSizes, tell: Teller): Promise<void> {
  const overTokens: Point[] = [];
  for (const t of tokens) {
    tell.doing(`H and C of ${t} tokens`);
    overTokens.push([t, await sums(ops, t, fixed.width)]);
  }
  slopeRow(`H and C over tokens, ${fixed.width} inputs`, 1, overTokens, tell);

  const over = { sums: [] as Point[], factor: [] as Point[], sweep: [] as Point[] };
  for (const n of widths) {
    tell.doing(`H, C, factor and sweep of ${n} inputs`);
    over.sums.push([n, await sums(ops, fixed.tokens, n)]);
    const { factor, sweep } = await columns(ops, n);
    over.factor.push([n, factor]);
    over.sweep.push([n, sweep]);
  }
  slopeRow(`H and C over width, ${fixed.tokens} tokens`, 2, over.sums, tell);
  slopeRow("factor over width", 3, over.factor, tell);
  slopeRow("GPTQ's sweep over width, as many outputs as inputs", 3, over.sweep, tell);
  await overDepth(ops, depth, tell);
}

async function overDepth(ops: Ops, { size, windows, blocks }: SlopeSizes["depth"], tell: Teller): Promise<void> {
  const times: Point[] = [];
  const peaks: number[] = [];
  for (const depth of blocks) {
    tell.doing(`GPTQ + QEP of ${depth} blocks`);
    const deep = { ...size, blocks: depth };
    const model = await openMade(deep);
    const recipe = recipeOf("gptq", 0.5);
    // The first run compiles.
    if (times.length === 0) await report(ops, model, deep, windows, recipe);
    const { ms, peakGpuBytes } = await report(ops, model, deep, windows, recipe);
    times.push([depth, ms / 1000]);
    peaks.push(peakGpuBytes);
  }
  slopeRow(`GPTQ + QEP over depth, ${size.hidden} / ${size.intermediate}, T = ${windows.windows * windows.length}`, 1, times, tell);
  const growth = peaks.at(-1)! / peaks[0];
  const measured = `${growth.toFixed(3)}× (${peaks.map((bytes, i) => `${blocks[i]}: ${(bytes / 1e6).toFixed(1)} MB`).join(", ")})`;
  tell.row({ ...fact("peak device memory over depth", measured), goal: "flat", met: growth <= 1.05 });
}
