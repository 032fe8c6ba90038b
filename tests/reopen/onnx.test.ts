/** Our ONNX exports open to be measured: with the run's weights. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { toFloats } from "../../src/io/dtype";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { type Model, openModel, runnable } from "../../src/model/checkpoint";
import { summarize } from "../../src/model/summary";
import { createCpuOps } from "../../src/ops/cpu";
import { restoreLayer } from "../../src/quant/coded";
import type { Recipe } from "../../src/recipe/recipe";
import { openAny } from "../../src/reopen/open";
import { demoFolder } from "../support/demo";
import { evaluate, evaluateAgainst, run } from "../support/engine";
import { packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { safetensors, tinyTensors, tinyTokens } from "../support/tiny";

const ops = createCpuOps();
const quiet = { emit: () => {} };

async function exported(change: Partial<Recipe>, more: object = {}) {
  const config = { ...packableConfig, ...more };
  const model = await openModel(
    memorySource("tiny", [
      bytesFile("config.json", JSON.stringify(config)),
      bytesFile("model.safetensors", safetensors(tinyTensors(config))),
      bytesFile("tokenizer.json", readFileSync(join(demoFolder, "tokenizer.json"), "utf8")),
    ]),
  );
  const recipe = recipeWith({ format: "onnx", groupSize: 32, ...change }, { alpha: 0 });
  const sink = memorySink();
  const finished = await run({ ops, model, tokens: tinyTokens(), recipe });
  await exportCheckpoint({ model, ...finished, evaluations: [], sink });
  return { model, ...finished, files: sink.files };
}

const opened = async (files: ReadonlyMap<string, Uint8Array>): Promise<Model> =>
  runnable(
    await openAny(
      memorySource(
        "onnx",
        [...files].map(([name, bytes]) => bytesFile(name, bytes)),
      ),
    ),
  );

describe("an export has the run's weights, and is what the run measured", () => {
  test.each<[Partial<Recipe>, object]>([
    [{ bits: 4 }, {}],
    [{ bits: 3, groupSize: -1, symmetric: true }, { tie_word_embeddings: true }],
    [{ bits: 2, blocks: 1 }, {}],
    [
      { bits: 8, format: "onnx-f16" },
      { architectures: ["Qwen3ForCausalLM"], model_type: "qwen3" },
    ],
  ])("%j of %j", async (change, config) => {
    const { model, plan, quantized, files } = await exported(change, config);
    const again = await opened(files);
    for (const { name } of plan.layers) {
      const [W] = await ops.read([restoreLayer(ops, (await quantized.layer(name))!)]);
      const read = toFloats(await again.shards.readTensor(`${name}.weight`), "F32");
      const off = Math.max(...W.map((w, i) => Math.abs(w - read[i]))) / Math.max(...W.map(Math.abs));
      expect(off, name).toBeLessThan(2 ** -24);
    }
    const own = await evaluate({ ops, model, tokens: tinyTokens(), ...quiet }, quantized);
    const beside = await evaluateAgainst({ ops, model: again, tokens: tinyTokens(), ...quiet }, model);
    expect(beside.perplexity / own.perplexity).toBeCloseTo(1, 6);
    for (const [m, { delta }] of own.blocks.entries()) expect(beside.blocks![m].delta / delta).toBeCloseTo(1, 4);
    const { packing, warnings, parameters } = summarize(again);
    expect(parameters).toBe(summarize(model).parameters);
    expect(packing).toMatch(/^ONNX \d-bit, blocks of \d+/);
    expect(warnings).toEqual([]);
  });
});

test.each<[string, (files: Map<string, Uint8Array>) => void]>([
  ["config.json", (f) => f.delete("config.json")],
  ["(named by the graph)", (f) => f.delete([...f.keys()].find((name) => name.endsWith("_data"))!)],
  [
    "ends before",
    (f) => {
      const name = [...f.keys()].find((file) => file.endsWith("_data"))!;
      f.set(name, f.get(name)!.slice(0, -8));
    },
  ],
  ["implies", (f) => f.set("config.json", new TextEncoder().encode(JSON.stringify({ ...packableConfig, intermediate_size: 160 })))],
])("what cannot be opened is named: %s", async (words, edit) => {
  const { files } = await exported({ bits: 4 });
  edit(files);
  await expect(opened(files)).rejects.toThrow(words);
});
