import { expect, it } from "vitest";
import type { LayerKind } from "../../src/recipe/recipe";
import type { Comparison } from "../../src/results/measures";
import type { LayerReport } from "../../src/results/report";
import type { Measured, Run } from "../../src/store/state";
import { filesOfInput } from "../../src/ui/drop";
import { comparedCurves, curveOf, dashOf, growthRows } from "../../src/ui/growth/rows";
import { layerKeys, runKeys, sorted } from "../../src/ui/tables/sorting";
import { aRun } from "../store/a-run";
import { someDivergence } from "../support/divergence";

const run = (id: string, deltas: number[], totalBlocks = 4): Run =>
  aRun({ id, totalBlocks, blocks: deltas.map((delta, index) => ({ index, delta, relativeDelta: delta / 100 })) });

const measuredAs = (key: string, delta: number): Measured => ({
  key,
  textLabel: key,
  own: false,
  evaluation: {
    perplexityBefore: 3,
    perplexity: delta,
    divergence: someDivergence,
    blocks: [{ index: 0, delta, relativeDelta: 0.1 }],
    tokens: 8,
    windows: 1,
    ms: 1,
  },
});

const absolute = { relative: false, text: null };

it("rows have all blocks, numbered from one, and only the points there are", () => {
  expect(growthRows([run("a", [3, 5]), run("b", [4])].map((r) => curveOf(r, absolute)))).toEqual([
    { block: 1, a: 3, b: 4 },
    { block: 2, a: 5 },
    { block: 3 },
    { block: 4 },
  ]);
  expect(growthRows([])).toEqual([]);
});

it("a view is absolute or relative, on either text", () => {
  const measured = { ...run("a", [3]), measured: [measuredAs("demo", 7), measuredAs("other", 8)] };
  expect(curveOf(measured, { relative: true, text: null }).points).toEqual([{ block: 1, value: 0.03 }]);
  expect(curveOf(measured, { relative: false, text: "other" }).points).toEqual([{ block: 1, value: 8 }]);
  expect(curveOf(measured, { relative: false, text: "a third" }).points).toEqual([]);
});

it("a comparison of the open checkpoint is a line of its own, where the two have the same sizes", () => {
  const { evaluation } = measuredAs("x", 7);
  const results: Comparison[] = [
    { ...evaluation, blocks: null, noDelta: "sizes" },
    { ...evaluation, noDelta: null },
  ];
  const compared = results.map((result) => ({ original: "big", textLabel: "a text", result }));
  const [curve, ...others] = comparedCurves(compared, { relative: true, text: null }, [{ slot: 4 }, { slot: 0 }]);
  expect(others).toEqual([]);
  // The second comparison, after the five colours of the runs.
  expect(curve).toMatchObject({ slot: 6, label: "beside big, on a text", points: [{ block: 1, value: 0.1 }], totalBlocks: 1 });
});

it("lines differ in dash as well, beyond the eight colours too", () => {
  expect(new Set(Array.from({ length: 8 }, (_, i) => dashOf(i))).size).toBe(8);
  expect(dashOf(8)).not.toBe(dashOf(0));
});

const layer = (name: string, kind: LayerKind, relativeError: number, damping: number[] = []): LayerReport => ({
  name,
  kind,
  block: 0,
  method: "rtn",
  bits: 3,
  alpha: 0.5,
  relativeError,
  damping,
  retries: 0,
  curve: null,
  heldOut: null,
  outliers: [],
  fallback: null,
  ms: 1,
});

it("layers are sorted by what people mean", () => {
  const layers = [layer("l.10.q", "q_proj", 0.2, [0.01, 0.1]), layer("l.9.q", "k_proj", 0.1), layer("l.2.q", "v_proj", 0.3, [0.01])];
  const names = (column: "name" | "error" | "damping", descending: boolean) =>
    sorted(layers, layerKeys, { column, descending }).map((l) => l.name);
  expect(names("name", false)).toEqual(["l.2.q", "l.9.q", "l.10.q"]);
  expect(names("error", true)).toEqual(["l.2.q", "l.10.q", "l.9.q"]);
  expect(names("damping", true)).toEqual(["l.10.q", "l.2.q", "l.9.q"]);
  expect(sorted(layers, layerKeys, null)).toBe(layers);
});

it("runs are sorted by what they came to on any text; those not measured there come last", () => {
  const runs = [
    { ...run("a", [3]), measured: [measuredAs("x", 9), measuredAs("y", 1)] },
    { ...run("b", [2]), measured: [measuredAs("x", 8), measuredAs("y", 2)] },
    run("c", [1]),
  ];
  const order = (column: string) => sorted(runs, runKeys(["x", "y"]), { column, descending: false }).map((r) => r.id);
  expect(order("delta")).toEqual(["c", "b", "a"]);
  expect(order("delta x")).toEqual(["b", "a", "c"]);
  expect(order("perplexity y")).toEqual(["a", "b", "c"]);
  expect(order("perplexity of a text whose runs were removed")).toEqual(["a", "b", "c"]);
});

it("a chosen folder gives its own files and those of its folder onnx; loose files take the weights' name", () => {
  const file = (name: string, path = "") => Object.defineProperty(new File([], name), "webkitRelativePath", { value: path }) as File;
  const list = (...files: File[]) => files as unknown as FileList;
  const folder = filesOfInput(
    list(file("config.json", "llama/config.json"), file("x.bin", "llama/original/x.bin"), file("m.onnx", "llama/onnx/m.onnx")),
  );
  expect(folder.label).toBe("llama");
  expect(folder.files.map((f) => f.path)).toEqual(["config.json", "onnx/m.onnx"]);
  expect(filesOfInput(list(file("config.json"), file("tiny-00001-of-00002.safetensors"))).label).toBe("tiny");
  const beside = list(file("adapter_model.safetensors"), file("consolidated.safetensors"), file("model-00001-of-00002.safetensors"));
  expect(filesOfInput(beside).label).toBe("model");
});
