/** D = W·C·(H + λI)⁻¹, factor included, against W·C alone. */

import { differs, values } from "../../scripts/pack/check";
import { mostResidual, solve, solveWork, statistics, worstResidual } from "../../scripts/pack/solve";
import { duration, percent, rate } from "../../scripts/pack/timing";
import type { Ops, Tensor } from "../../src/ops/ops";
import { freeFactor, inverseFactor } from "../../src/quant/factor";
import { judged, type Row } from "../support/report";
import { inTurn, median, medianRatio } from "../support/times";

interface Size {
  n: number;
  /** Rows of W. */
  m: number;
}

/** Its three works on given statistics: C and H stay on the device, and are read once for the checks. */
function works(ops: Ops, { n, m }: Size, tokens: number) {
  const { H, C } = statistics(ops, n, tokens);
  const w = values(5, [m, n]);
  const W = ops.fromFloats(w, [m, n]);
  const read = ops.read([H, C]);
  return {
    solve: {
      run: () => solve(ops, H, C, W),
      check: async ({ D, tried }: { D: Tensor; tried: number[] }) => {
        const [[h, c], [d]] = [await read, await ops.read([D])];
        const residual = worstResidual({ n, m, w, d, h, c, damp: tried.at(-1)! });
        if (!(residual <= mostResidual(n, tokens))) throw new Error(`the solve's residual is ${residual}`);
      },
    },
    product: {
      run: () => ops.matmul(W, C),
      check: async (y: Tensor) => {
        const [[, c], [row]] = [await read, await ops.read([ops.everyRow(y, m - 1, 1)])];
        for (let j = 0; j < n; j += 37) {
          const wrong = differs(row[j], n, (k) => w[(m - 1) * n + k] * c[k * n + j]);
          if (wrong) throw new Error(`W·C: entry ${m - 1}, ${j} ${wrong}`);
        }
      },
    },
    /** The factor alone: what it gives is looked at in the solve, which makes the same. */
    factor: {
      run: async () => freeFactor(ops, await inverseFactor(ops, H, { damp: 0.01, actOrder: false })),
      check: async () => {},
    },
  };
}

export async function solveRow(ops: Ops, size: Size, rounds: number): Promise<Row> {
  const { n, m } = size;
  // A small one first, which compiles the kernels.
  await inTurn(ops, works(ops, { n: 192, m: 64 }, 64), 1, false);
  const times = await inTurn(ops, works(ops, size, Math.ceil(n / 4)), rounds, false);
  const product = 2 * m * n * n;
  // Rates of one round are compared with each other.
  const share = (solveWork(n, m) / product) * medianRatio(times.product, times.solve);
  const factorWork = (2 / 3) * n ** 3;
  const factorShare = (factorWork / product) * medianRatio(times.product, times.factor);
  const [solved, factored] = [median(times.solve), median(times.factor)];
  return judged({
    what: `W·C·(H + λI)⁻¹, n = ${n}, m = ${m}: its rate against W·C alone`,
    measured: `${percent(share)} (${duration(solved)}: ${rate(solveWork(n, m) / solved)}, W·C ${rate(product / median(times.product))})`,
    value: share,
    goal: { least: 0.6, text: "≥ 60 %" },
    why: `the factor takes ${percent(factored / solved)} of the time and runs at ${percent(factorShare)} of W·C's rate: its products are narrow, and its diagonal blocks go one after the other.`,
  });
}
