import { describe, expect, test } from "vitest";
import { layerFacts } from "../../src/engine/facts";
import { run } from "../../src/engine/run";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { checkKinds } from "../../src/export/format";
import { formats, plannedLayers } from "../../src/export/layout";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16 } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { loadTensor, openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import { gridSpec } from "../../src/quant/quantizer";
import { roundToNearest } from "../../src/quant/rtn";
import { type QuantizedModel, type StoredLayer, store } from "../../src/quant/stored";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const recipe = recipeWith({ method: "rtn", bits: 4 }, { alpha: 0 });

/** A finished run whose layers were then rounded again, on grids with real zeros. */
async function realZeros() {
  const ops = createCpuOps();
  const model = await openModel(tinySource(tinyConfig));
  const { report, quantized } = await run({ ops, model, tokens: tinyTokens(), recipe, emit: () => {} });
  const spec = gridSpec({ bits: 4, groupSize: 8, symmetric: false, kind: "real-zero" });
  const layers = new Map<string, StoredLayer>();
  for (const name of quantized.layers.keys()) {
    const { codes, grid } = roundToNearest(await loadTensor(ops, model, `${name}.weight`), spec, ops);
    layers.set(name, await store(ops, name, { codes, grid, damping: [], fallback: null }, spec));
  }
  const result: QuantizedModel = { ...quantized, layers };
  return { ops, model, report, quantized: result, name: [...layers.keys()][0] };
}

describe("layers with real zeros", () => {
  test("are exported dense, each weight rounded to f16 once, and verified", async () => {
    const { model, report, quantized, name } = await realZeros();
    const sink = memorySink();
    await exportCheckpoint({ model, report, quantized, evaluations: [], sink });
    const written = memorySource(
      "out",
      [...sink.files].map(([file, bytes]) => bytesFile(file, bytes)),
    );
    await verifyCheckpoint(written, model, quantized, report.recipe);
    const layer = quantized.layers.get(name)!;
    if (layer.kind !== "packed") throw new Error("the layer is on a grid");
    const bytes = await (await openModel(written)).shards.readTensor(`${name}.weight`);
    const words = new Uint16Array(new Uint8Array(bytes).buffer);
    const codes = codesOf(layer);
    const want = Array.from(codes, (code, i) =>
      toF16(pointOf("real-zero", layer.scales[Math.floor(i / 8)], layer.zeros[Math.floor(i / 8)], code)),
    );
    expect(Array.from(words, f16ToNumber)).toEqual(want);
    // A verification that looked at another kind's points would not notice.
    const wrong = new Map(quantized.layers).set(name, { ...layer, gridKind: "integer-zero" });
    await expect(verifyCheckpoint(written, model, { ...quantized, layers: wrong }, report.recipe)).rejects.toThrow(/does not read back/);
  });

  test("have facts: the histogram after a run is near the one before it", async () => {
    const { model, quantized, name } = await realZeros();
    const { before, after } = await layerFacts(model, quantized.layers.get(name)!, name);
    const mean = ({ counts }: typeof before) => counts.reduce((sum, c, i) => sum + c * i, 0) / counts.reduce((a, b) => a + b, 0);
    expect(Math.abs(mean(after!) - mean(before))).toBeLessThan(1);
  });

  test("are refused by GPTQ in a sentence, before the run and when they come to be written", async () => {
    const { model, quantized, name } = await realZeros();
    const planned = [...plannedLayers(model, recipe).values()];
    expect(planned.every((l) => l.gridKind === "integer-zero")).toBe(true);
    for (const format of ["dense", "gptq"] as const) checkKinds(format, formats[format], planned);
    const real = planned.map((l) => ({ ...l, gridKind: "real-zero" as const }));
    checkKinds("dense", formats.dense, real);
    expect(() => checkKinds("gptq", formats.gptq, real)).toThrow(
      `This format cannot hold the result: ${planned[0].name} would be on a grid with real zeros (an offset in f16), and the gptq format has no place for them.`,
    );
    expect(() => formats.gptq.bytes(quantized.layers.get(name)!, false)).toThrow(/is on a grid with real zeros/);
  });
});
