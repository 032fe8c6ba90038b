import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { pollMs } from "../../src/store/polling";
import { createStudio } from "../../src/store/studio";
import { type FakeOptions, fakeClient } from "./fake";

const slow = { pause: () => new Promise<void>((resolve) => setTimeout(resolve, 20)) };

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function opened(options: FakeOptions = slow) {
  const fake = fakeClient(options);
  const studio = createStudio(() => fake);
  studio.start();
  studio.openDemo();
  await vi.advanceTimersByTimeAsync(1000);
  const asked = (method: string) => fake.calls.filter((c) => c === method).length;
  return { fake, studio, asked, state: () => studio.store.getState(), wait: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

describe("the chosen layer", () => {
  const name = "model.layers.2.mlp.up_proj";

  it("has its facts asked for once the worker is free, and once only", async () => {
    const { studio, asked, state, wait } = await opened();
    studio.run();
    await wait(500);
    studio.chooseLayer(name);
    await wait(500);
    expect(asked("layerFacts")).toBe(0);
    await wait(4000);
    expect(asked("layerFacts")).toBe(1);
    expect(state().layer).toMatchObject({ name, facts: { value: { name, shape: [64, 64] }, error: null } });
    studio.chooseLayer("model.layers.0.mlp.up_proj");
    await wait(500);
    studio.chooseLayer(name);
    await wait(500);
    expect(asked("layerFacts")).toBe(2);
    expect(state().layer.facts?.value?.name).toBe(name);
  });

  it("says why when they cannot be had, and asks no more", async () => {
    const { fake, studio, asked, state, wait } = await opened();
    studio.run();
    await wait(4000);
    fake.options.fail = { layerFacts: new QuantError("file-changed", "model.safetensors") };
    studio.chooseLayer(name);
    await wait(2000);
    expect(state().layer.facts).toMatchObject({ value: null, error: { code: "file-changed" } });
    expect(asked("layerFacts")).toBe(1);
  });

  it("is forgotten with its model", async () => {
    const { studio, state, wait } = await opened();
    studio.run();
    await wait(4000);
    studio.chooseLayer(name);
    await wait(500);
    await Promise.all([studio.openDemo(), wait(500)]);
    expect(state().layer).toEqual({ name: null, facts: null });
  });
});

it("live bytes are asked once a second, during a job too, until nobody looks", async () => {
  const { fake, studio, state, wait } = await opened();
  const call = vi.spyOn(fake, "call");
  const polls = () => call.mock.calls.filter(([method]) => method === "liveBytes").length;
  const stop = studio.pollLiveBytes();
  studio.run();
  await wait(3 * pollMs);
  expect(polls()).toBe(3);
  expect(state().liveBytes).toBeGreaterThan(0);
  stop();
  await wait(3 * pollMs);
  expect(polls()).toBe(3);
});

it("the log tells what was done, and for which run", async () => {
  const { fake, studio, state, wait } = await opened({ ...slow, notes: [{ level: "warning", message: "block 3: more damping" }] });
  studio.run();
  await wait(4000);
  fake.options.fail = { measure: new QuantError("device-lost", "in block 2") };
  studio.measure();
  await wait(2000);
  const lines = state().log.map(({ level, run, message }) => [level, run, message]);
  expect(lines).toEqual([
    ["warning", null, "Computing on Google SwiftShader Device (LLVM 16.0.0), in software."],
    ["info", null, "Opened QEP demo: LlamaForCausalLM, 12 blocks, BF16."],
    ["info", 1, "Started: RTN 3-bit + QEP α 0.5, calibrated on demo calibration text."],
    ["warning", 1, "block 3: more damping"],
    ["info", 1, "Finished in 5.1 s."],
    ["error", null, "The GPU was lost: in block 2."],
  ]);
});

it("a run is renamed, hidden, and its recipe loaded back", async () => {
  const { studio, state, wait } = await opened();
  studio.run();
  await wait(4000);
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
