/** How times grow with tokens, depth and width, and whether memory grows with depth. `npm run bench -- --only slopes` */
import { expect, test } from "vitest";
import { openMade, tokensFor } from "../scripts/pack/models";
import { type SlopeSizes, slopes } from "../scripts/pack/slopes";
import { duration, logSlope } from "../scripts/pack/timing";
import type { Row, Teller } from "../scripts/pack/types";
import type { GpuOps } from "../src/ops/gpu";
import { activationsOf, forward } from "../tests/support/engine";
import { openGpuOps } from "../tests/support/gpu";
import { small, write } from "./support/report";
import { median } from "./support/times";

const sizes: SlopeSizes = small
  ? {
      tokens: [64, 128, 256],
      widths: [128, 256, 384],
      fixed: { tokens: 128, width: 128 },
      depth: {
        size: { hidden: 128, intermediate: 384, blocks: 1, heads: 2, vocabulary: 256 },
        windows: { windows: 2, length: 32 },
        blocks: [1, 2, 4],
      },
    }
  : {
      tokens: [512, 1024, 2048],
      widths: [1024, 2048, 3072],
      fixed: { tokens: 512, width: 1024 },
      depth: {
        size: { hidden: 256, intermediate: 768, blocks: 1, heads: 4, vocabulary: 256 },
        windows: { windows: 8, length: 128 },
        blocks: [1, 2, 4],
      },
    };

/** Why times grow more slowly than their operations where sizes are small, by how a row begins. Told only where a slope is under its goal. */
const underWhy: Record<string, string> = {
  "forward over tokens": "few tokens leave products few rows, and steps between products cost a dispatch at any size.",
  "H and C over tokens": "few tokens leave a product little depth between its dispatches.",
  "H and C over width": "narrow sums have few tiles, which leave cores idle.",
  "factor over width":
    "a factor is a sequence of block columns, whose number grows with the width alone and counts most where it is small.",
  "GPTQ's sweep":
    "a sweep is a sequence of columns in panels of 128, and what is between panels is little to multiply where there are few.",
};

function why({ what, measured, goal, met }: Row): string | null {
  if (met !== false || !(Number.parseFloat(measured) < Number.parseFloat(goal ?? ""))) return null;
  return Object.entries(underWhy).find(([start]) => what.startsWith(start))?.[1] ?? null;
}

/** One stream through two blocks, over tokens, in windows of one length. */
async function forwardRow(ops: GpuOps): Promise<Row> {
  const { size, windows } = sizes.depth;
  const model = await openMade({ ...size, blocks: 2 });
  const lengths = sizes.tokens.map((tokens) => ({ windows: tokens / windows.length, length: windows.length }));
  const seconds = lengths.map(() => [] as number[]);
  for (let round = -1; round < 3; round++) {
    for (const [i, some] of lengths.entries()) {
      await activationsOf(ops).job(async () => {
        const started = performance.now();
        await forward(ops, model, tokensFor(some, size));
        await ops.flush();
        if (round >= 0) seconds[i].push((performance.now() - started) / 1000);
      });
    }
  }
  const points = sizes.tokens.map((tokens, i) => [tokens, median(seconds[i])] as const);
  const slope = logSlope(points);
  const met = Math.abs(slope - 1) <= 0.15;
  const measured = `${slope.toFixed(2)} (${points.map(([tokens, s]) => `${tokens}: ${duration(s)}`).join(", ")})`;
  return { what: `forward over tokens, two blocks of ${size.hidden} / ${size.intermediate}`, measured, goal: "1 ± 0.15", met, why: null };
}

test("slopes", async () => {
  const ops = await openGpuOps();
  const rows: Row[] = [];
  const tell: Teller = {
    until: Number.POSITIVE_INFINITY,
    row: (row) => rows.push(row),
    doing: (what) => console.log(what),
    failed(reason) {
      throw new Error(reason);
    },
  };
  tell.row(await forwardRow(ops));
  await slopes(ops, sizes, tell);
  await write(
    {
      name: "slopes",
      title: "How times and memory grow",
      order: 14,
      adapter: `${ops.adapter.description} in Node with Dawn`,
      intro:
        "The slope of log time over log size, fitted over three sizes by least squares: 1 means that twice the size takes twice as long, 3 that it takes eight " +
        "times as long. What was computed is checked. Memory is what the engine counts on the device at its peak.",
    },
    rows.map((row) => ({ ...row, why: row.why ?? why(row) })),
  );
  expect(rows).toHaveLength(7);
}, 1_800_000);
