/** How far a model is from its original, in words; and the table of runs sorted by it. */
import { expect, it } from "vitest";
import { klText, riseText, sameTopText, withError } from "../../src/results/divergence";
import { runKeys, sorted } from "../../src/ui/tables/sorting";
import { aRun } from "../store/a-run";
import { someDivergence } from "../support/divergence";

it.each([
  [{ mean: 0.04213, error: 0.00123 }, "0.0421 ± 0.0012"],
  [{ mean: 2.5, error: 0.4 }, "2.50 ± 0.40"],
  [{ mean: 613.2, error: 25 }, "613 ± 25"],
  [{ mean: 0.000312, error: 0.0000071 }, "0.0003120 ± 0.0000071"],
  [{ mean: 3.21e-7, error: 2.2e-8 }, "3.21e-7 ± 2.2e-8"],
  // Nothing differs, or there is one token.
  [{ mean: 0, error: 0 }, "0"],
  [{ mean: 0.01234, error: Number.NaN }, "0.0123"],
])("a mean is told as far as its error lets it mean anything: %j", (mean, text) => {
  expect(withError(mean)).toBe(text);
});

it("what is measured is told in words", () => {
  expect(klText(someDivergence)).toBe("0.0421 ± 0.0012 nats per token (median 0.0203, 99 % of tokens below 0.411, at most 1.92)");
  expect(sameTopText(someDivergence)).toBe("93.1 ± 0.3 %");
  // e^0.0583 = 1.0600, and the error grows with it.
  expect(riseText(someDivergence)).toBe("+6.0 ± 0.2 %");
  expect(riseText({ ...someDivergence, lossRise: { mean: -0.02, error: 0.001 } })).toBe("−2.0 ± 0.1 %");
  const single = { ...someDivergence, lossRise: { mean: 0.1, error: Number.NaN }, sameTop: { mean: 1, error: Number.NaN } };
  expect([riseText(single), sameTopText(single)]).toEqual(["+10.5 %", "100.0 %"]);
});

it("runs are sorted by their divergence; those not measured come last", () => {
  const measured = (mean: number) => ({
    ...{ key: "x", textLabel: "x", own: false },
    evaluation: {
      ...{ perplexityBefore: 3, perplexity: 4, blocks: [], tokens: 8, windows: 1, ms: 1 },
      divergence: { ...someDivergence, kl: { ...someDivergence.kl, mean } },
    },
  });
  const runs = [aRun({ id: "a", measured: [measured(0.3)] }), aRun({ id: "b" }), aRun({ id: "c", measured: [measured(0.02)] })];
  expect(sorted(runs, runKeys(["x"]), { column: "kl x", descending: false }).map((r) => r.id)).toEqual(["c", "a", "b"]);
});
