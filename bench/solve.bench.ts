/** QEP's solve, its factor and the grams beside plain products, on the adapter of Node. `npm run bench -- --only solve` */
import { expect, test } from "vitest";
import { openGpuOps } from "../tests/support/gpu";
import { fmaRow } from "./solve/fma";
import { gramRows, triangleRow } from "./solve/pieces";
import { solveRow } from "./solve/whole";
import { small, write } from "./support/report";
import { inScope } from "./support/times";

const sizes = small ? { solve: { n: 352, m: 128 }, square: 128, rounds: 2 } : { solve: { n: 2816, m: 1024 }, square: 1024, rounds: 5 };

test("solve", async () => {
  const ops = await openGpuOps();
  const rows = [
    await inScope(ops, () => solveRow(ops, sizes.solve, small ? 1 : 3)),
    await inScope(ops, () => triangleRow(ops, sizes.square, sizes.rounds)),
    ...(await inScope(ops, () => gramRows(ops, sizes.square, sizes.rounds))),
    await inScope(ops, () => fmaRow(ops, sizes.square, sizes.rounds)),
  ];
  await write(
    {
      name: "solve",
      title: "Factor, solve and grams in Node",
      order: 11,
      adapter: `${ops.adapter.description} in Node with Dawn`,
      intro:
        "What is compared is measured in turn, and medians are told. Rates count two operations a multiply-add: 2·M·N·K for a product; for the solve " +
        "⅓·n³ each for Cholesky and the triangle's inverse, 2·m·n² for W·C and 2·m·n² for two products with a triangle. W has m rows.",
    },
    rows,
  );
  expect(rows.length).toBeGreaterThan(3);
}, 1_200_000);
