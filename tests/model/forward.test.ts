import { expect, test } from "vitest";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { forward } from "../support/engine";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

const [full, sliding] = ["full_attention", "sliding_attention"];

/** The residual stream after each block. */
async function streamOf(layer_types: string[]): Promise<number[][]> {
  const ops = createCpuOps();
  const config = { ...tinyConfig, architectures: ["MistralForCausalLM"], model_type: "mistral", sliding_window: 2, layer_types };
  const model = await openModel(tinySource(config, tinyTensors(config)));
  const tokens = tinyTokens(1, 8);
  const after: number[][] = [];
  await forward(ops, model, tokens, async (stream) => void after.push([...(await ops.read([await stream.h(0).acquire()]))[0]]));
  return after;
}

test("each block attends through its own window", async () => {
  const [plain, second] = [await streamOf([full, full, full]), await streamOf([full, sliding, full])];
  expect(second[0]).toEqual(plain[0]);
  expect(second[1]).not.toEqual(plain[1]);
  // The first two positions see no more through a window of two than without one.
  expect(second[1].slice(0, 2 * tinyConfig.hidden_size)).toEqual(plain[1].slice(0, 2 * tinyConfig.hidden_size));
  expect((await streamOf([sliding, full, full]))[0]).not.toEqual(plain[0]);
});
