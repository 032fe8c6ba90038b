import { expect, it } from "vitest";
import { baseOf, defaultRecipe } from "../../src/recipe/recipe";
import type { LayerReport } from "../../src/results/report";
import { initialState } from "../../src/store/state";
import { heatScale, levels } from "../../src/ui/layers/scale";
import { bestAlpha, curveOf, errorAt } from "../../src/ui/layers/sources";
import { logLineText } from "../../src/ui/log/LogPanel";
import { aRun } from "../store/a-run";

it("the heatmap's levels are equal steps of the logarithm", () => {
  const { levelOf, from } = heatScale([0.001, 0.01, 0.1, 1]);
  expect(from).toHaveLength(levels);
  expect([0.001, 0.0033, 0.011, 0.04, 0.11, 0.4, 1].map(levelOf)).toEqual([0, 1, 2, 3, 4, 5, 5]);
  expect(levelOf(0)).toBeNull();
  expect(levelOf(Number.NaN)).toBeNull();
});

it("equal errors and none have a scale too", () => {
  expect(heatScale([0.02, 0.02]).levelOf(0.02)).toBe(0);
  expect(heatScale([]).from).toEqual([]);
});

it("the optimum stays within 0 and 1", () => {
  expect(bestAlpha({ base: 1, slope: 0.3, curvature: 0.6 })).toBe(0.5);
  expect(bestAlpha({ base: 1, slope: 3, curvature: 0.6 })).toBe(1);
  expect(bestAlpha({ base: 1, slope: -3, curvature: 0.6 })).toBe(0);
  expect(bestAlpha({ base: 1, slope: 1, curvature: 0 })).toBe(1);
  expect(errorAt({ base: 0.02, slope: 0.012, curvature: 0.015 }, 0.8)).toBeCloseTo(0.0104);
  expect(errorAt({ base: 1e-9, slope: 1, curvature: 0 }, 1)).toBe(0);
});

const layer: LayerReport = {
  name: "l",
  kind: "o_proj",
  block: 0,
  method: "rtn",
  bits: 3,
  alpha: 0,
  relativeError: 0.05,
  damping: [],
  retries: 0,
  curve: null,
  heldOut: null,
  outliers: [],
  fallback: null,
  ms: 1,
};

it("a base run shows the curve of its QEP run", () => {
  const curve = { base: 1, slope: 1, curvature: 2 };
  const base = aRun({ id: "b", status: "done", recipe: baseOf(defaultRecipe), layers: [layer] });
  const qep = aRun({ id: "q", status: "done", layers: [{ ...layer, alpha: 0.5, curve }] });
  const state = { ...initialState, runs: [base, qep] };
  expect(curveOf(state, { run: base, layer })).toMatchObject({ run: qep, curve });
  expect(curveOf({ ...state, runs: [base] }, { run: base, layer })).toBeNull();
});

it("a line of the log is one line, whatever it says", () => {
  expect(logLineText({ id: 1, at: 0, level: "error", run: 2, message: "a\n<b>\tc" })).toBe("1970-01-01T00:00:00.000Z error run 2 a <b> c");
});
