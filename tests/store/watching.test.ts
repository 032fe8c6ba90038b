import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { pollMs } from "../../src/store/polling";
import { pass, until } from "../support/real-client";
import { opened } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the chosen layer", () => {
  const name = "model.layers.2.mlp.up_proj";

  it("has its facts asked for once the worker is free, and once only", async () => {
    const { client, studio, asked, state, settled } = await opened();
    client.holdAfter((e) => e.type === "block");
    studio.run();
    await until(() => client.held);
    studio.chooseLayer(name);
    await pass(500);
    expect(asked("layerFacts")).toBe(0);
    client.release();
    await settled();
    await until(() => state().layer.facts !== null);
    expect(asked("layerFacts")).toBe(1);
    const { value, error } = state().layer.facts!;
    expect(value).toMatchObject({ name, shape: [64, 32] });
    expect(value!.after!.counts).not.toEqual(value!.before.counts);
    expect(error).toBeNull();
    studio.chooseLayer("model.layers.0.mlp.up_proj");
    await until(() => state().layer.facts !== null);
    studio.chooseLayer(name);
    await until(() => state().layer.facts !== null);
    expect(asked("layerFacts")).toBe(2);
    expect(state().layer.facts?.value?.name).toBe(name);
  });

  it("says why when they cannot be had, and asks no more", async () => {
    const { client, studio, asked, state } = await opened();
    await studio.run();
    client.fail = { layerFacts: new QuantError("file-changed", "model.safetensors") };
    studio.chooseLayer(name);
    await pass(2000);
    expect(state().layer.facts).toMatchObject({ value: null, error: { code: "file-changed" } });
    expect(asked("layerFacts")).toBe(1);
  });

  it("is forgotten with its model", async () => {
    const { studio, state } = await opened();
    await studio.run();
    studio.chooseLayer(name);
    await until(() => state().layer.facts !== null);
    await studio.openDemo();
    expect(state().layer).toEqual({ name: null, facts: null });
  });
});

it("live bytes are asked once a second, during a job too, until nobody looks", async () => {
  const { client, studio, state } = await opened();
  const call = vi.spyOn(client, "call");
  const polls = () => call.mock.calls.filter(([method]) => method === "liveBytes").length;
  client.holdAfter((e) => e.type === "block");
  studio.run();
  await until(() => client.held);
  const stop = studio.pollLiveBytes();
  await pass(3 * pollMs);
  expect(polls()).toBe(3);
  expect(state().liveBytes).toBeGreaterThan(0);
  stop();
  await pass(3 * pollMs);
  expect(polls()).toBe(3);
});

it("the log tells what was done, and for which run", async () => {
  const { client, studio, state, settled } = await opened();
  // Less damping than so few tokens need.
  studio.editRecipe({ qep: { damp: 0 }, calibration: { windows: 1, windowLength: 8 } });
  await settled();
  await studio.run();
  client.fail = { measure: new QuantError("device-lost", "in block 2") };
  await studio.measure();
  const lines = state().log.map(({ level, run, message }) => [level, run, message]);
  expect(lines.slice(0, 3)).toEqual([
    ["warning", null, "Computing on float64 reference on the CPU, in software."],
    ["info", null, "Opened QEP demo: LlamaForCausalLM, 4 blocks, F16."],
    ["info", 1, "Started: GPTQ 3-bit act-order mse + QEP α 0.5, calibrated on demo calibration text."],
  ]);
  expect(lines.at(-1)).toEqual(["error", null, "The GPU was lost: in block 2."]);
  expect(lines.at(-2)).toEqual(["info", 1, expect.stringMatching(/^Finished in [\d.]+ s\.$/)]);
  expect(lines.at(-3)).toEqual(["warning", 1, expect.stringMatching(/^\d+ of 28 layers needed more damping/)]);
  const [settings, ...warnings] = lines.slice(3, -3);
  expect(settings).toEqual(["info", 1, "GPTQ 3-bit act-order mse + QEP α 0.5: 1 windows of 8 tokens, damping 0."]);
  expect(warnings.length).toBeGreaterThan(0);
  for (const line of warnings) expect(line).toEqual(["warning", 1, expect.stringMatching(/^block \d, .*damping tried: 0, 0\.0001/)]);
});

it("a run is renamed, hidden, and its recipe loaded back", async () => {
  const { studio, state } = await opened();
  await studio.run();
  studio.rename("run-1", "mine ");
  studio.setHidden("run-1", true);
  expect(state().runs[0]).toMatchObject({ name: "mine ", hidden: true });
  studio.rename("run-1", "  ");
  expect(state().runs[0].name).toBeNull();
  studio.editRecipe({ bits: 8, method: "gptq" });
  studio.loadRecipe(state().runs[0].recipe);
  expect(state().recipe).toEqual(state().runs[0].recipe);
  // A file may come from a larger model.
  studio.loadRecipe({ ...state().recipe, blocks: 40 });
  expect(state().recipe.blocks).toBeNull();
});
