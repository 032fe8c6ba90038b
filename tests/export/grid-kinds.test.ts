import { describe, expect, test } from "vitest";
import { layerFacts } from "../../src/engine/facts";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { entriesOf, exportJob, formats } from "../../src/export/entries";
import { checkKinds } from "../../src/export/formats/format";
import { onGrid } from "../../src/export/formats/source-order";
import { verifyCheckpoint } from "../../src/export/verify";
import { f16ToNumber, toF16 } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { pointOf } from "../../src/ops/grid-kinds";
import { codesOf } from "../../src/ops/packed";
import type { QuantizedModel } from "../../src/quant/coded";
import { resolve } from "../../src/quant/resolve";
import type { MethodId } from "../../src/recipe/recipe";
import { evaluate, run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTokens } from "../support/tiny";

const recipe = recipeWith({ method: "gptq", bits: 4, zeros: "real" });
const name = "model.layers.1.self_attn.o_proj";

async function realZeros(method: MethodId = "gptq") {
  const ops = createCpuOps();
  const model = await openModel(tinySource(tinyConfig));
  const tokens = tinyTokens();
  return { ops, model, tokens, ...(await run({ ops, model, tokens, recipe: { ...recipe, method } })) };
}

async function exported({ model, plan, report, quantized }: Awaited<ReturnType<typeof realZeros>>) {
  const sink = memorySink();
  await exportCheckpoint({ model, plan, report, quantized, evaluations: [], sink });
  return memorySource(
    "out",
    [...sink.files].map(([file, bytes]) => bytesFile(file, bytes)),
  );
}

describe("layers with real zeros", () => {
  test("are exported dense, each weight rounded to f16 once, and verified", async () => {
    const result = await realZeros();
    const { model, plan, quantized } = result;
    const written = await exported(result);
    await verifyCheckpoint(written, model, plan, quantized);
    const layer = await quantized.layer(name);
    if (layer?.kind !== "packed") throw new Error("the layer is on a grid");
    const bytes = await (await openModel(written)).shards.readTensor(`${name}.weight`);
    const words = new Uint16Array(new Uint8Array(bytes).buffer);
    const codes = codesOf(layer);
    const want = Array.from(codes, (code, i) =>
      toF16(pointOf("real-zero", layer.scales[Math.floor(i / 24)], layer.zeros[Math.floor(i / 24)], code)),
    );
    expect(Array.from(words, f16ToNumber)).toEqual(want);
    // A verification that looked at another kind's points would not notice.
    const { replaced, beyondF16 } = quantized;
    const wrong: QuantizedModel = {
      replaced,
      beyondF16,
      layer: async (asked) => (asked === name ? { ...layer, gridKind: "integer-zero" } : quantized.layer(asked)),
    };
    await expect(verifyCheckpoint(written, model, plan, wrong)).rejects.toThrow(/does not read back/);
  });

  // AWQ divides rows of layers that are quantized already.
  test.each(["gptq", "awq"] as const)("that %s made compute in the export what the run measured", async (method) => {
    const result = await realZeros(method);
    const { ops, tokens, model, quantized } = result;
    const measured = await evaluate({ ops, model, tokens, emit: () => {} }, quantized);
    const nothing = { layer: async () => null, replaced: new Map(), beyondF16: new Map() };
    const reread = await evaluate({ ops, model: await openModel(await exported(result)), tokens, emit: () => {} }, nothing);
    expect(Math.abs(reread.perplexity / measured.perplexity - 1)).toBeLessThan(2e-3);
  });

  test("have facts: the histogram after a run is near the one before it", async () => {
    const { model, quantized } = await realZeros();
    const { before, after } = await layerFacts(model, await quantized.layer(name), name);
    const mean = ({ counts }: typeof before) => counts.reduce((sum, c, i) => sum + c * i, 0) / counts.reduce((a, b) => a + b, 0);
    expect(Math.abs(mean(after!) - mean(before))).toBeLessThan(1);
  });

  test("are refused by GPTQ in a sentence, before the run and when they come to be written", async () => {
    const { model, quantized, plan } = await realZeros();
    checkKinds("dense", formats.dense, plan.layers);
    expect(() => entriesOf(exportJob(model, resolve({ ...recipe, format: "gptq" }, model)))).toThrow(
      `This format cannot hold the result: ${plan.layers[0].name} would be on a grid with real zeros (an offset in f16), and the gptq format has no place for them.`,
    );
    const layer = await quantized.layer(name);
    expect(() => onGrid(layer!, "integer-zero")).toThrow(/is on a grid with real zeros/);
  });

  test("go neither with a symmetric grid nor with QuIP, which has its own", async () => {
    const model = await openModel(tinySource(tinyConfig));
    expect(() => resolve({ ...recipe, symmetric: true }, model)).toThrow(/never symmetric/);
    expect(() => resolve({ ...recipe, method: "quip" }, model)).toThrow(/QuIP has a grid of its own/);
  });
});
