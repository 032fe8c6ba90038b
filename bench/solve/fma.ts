/** Matmul against a loop of multiply-adds in registers, the most that the adapter's arithmetic gives. */

import { fmaRate } from "../../scripts/pack/fma";
import { percent, rate } from "../../scripts/pack/timing";
import type { GpuOps } from "../../src/ops/gpu";
import { fact, judged, type Row } from "../support/report";
import { inTurn, median } from "../support/times";
import { product } from "./pieces";

const lavapipe = /llvmpipe|lavapipe/i;

export async function fmaRow(ops: GpuOps, n: number, rounds: number): Promise<Row> {
  // Before and after, so that a busy moment does not decide; the loop's best counts, which makes the share least.
  const before = await fmaRate(ops);
  const { matmul } = await inTurn(ops, { matmul: product(ops, n, "NN") }, rounds, true);
  const peak = Math.max(before, await fmaRate(ops));
  const reached = (2 * n ** 3) / median(matmul);
  const what = `Matmul ${n}³ against the best of a loop of multiply-adds in registers`;
  const measured = `${percent(reached / peak)} (${rate(reached)} of ${rate(peak)})`;
  if (!lavapipe.test(ops.adapter.description)) {
    const goal = "the goal, ≥ 20 %, is for lavapipe, which is not what this ran on: QEP_VK_ICD names its driver where there is one.";
    return fact(what, measured, goal);
  }
  const why = "a software adapter pays for every load: the loop loads nothing, the product a value for every few multiply-adds.";
  return judged({ what, measured, value: reached / peak, goal: { least: 0.2, text: "≥ 20 %" }, why });
}
