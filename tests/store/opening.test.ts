import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { recipeWith } from "../support/recipe";
import { checkpointFiles, given, made } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

it("a model that can only be rounded takes a recipe that can be done, and gives the person's back", async () => {
  const { studio, state, settled } = made();
  await studio.start();
  studio.editRecipe({ method: "gptq", rotation: 3, qep: { choice: "best" } });
  await studio.openFiles(given(checkpointFiles({ architectures: ["OtherForCausalLM"], model_type: "other" }), "other"));
  expect(state().recipe).toMatchObject({
    method: "rtn",
    rotation: null,
    qep: { alpha: 0, choice: "given" },
    format: "dense",
  });
  studio.loadRecipe(recipeWith({ method: "awq", bits: 3, rules: [{ match: "down_proj", method: "gptq" }] }));
  expect(state().recipe).toMatchObject({ method: "rtn", bits: 3, rules: [], qep: { alpha: 0 } });
  // Nothing has to be chosen that is not calibrated on.
  studio.chooseCalibration({ kind: "file" });
  await settled();
  expect(state().plan.error).toBeNull();
  await studio.openDemo();
  expect(state().recipe).toMatchObject({ method: "gptq", rotation: 3, qep: { choice: "best" } });
});

it("a place to run it sets format and groups, which the next model's layers are divided by again", async () => {
  const { studio, state, settled } = made();
  await studio.start();
  studio.chooseDestination("vllm");
  expect(state().recipe).toMatchObject({ destination: "vllm", format: "compressed-tensors", symmetric: true, groupSize: 128 });
  // Its inputs are 64 and 32 wide.
  await studio.openDemo();
  expect(state().recipe).toMatchObject({ destination: "vllm", groupSize: 32 });
  studio.chooseDestination("llama.cpp");
  expect(state().recipe).toMatchObject({ format: "gguf", type: "Q3_K_M" });
  studio.chooseDestination("mlx");
  expect(state().recipe).toMatchObject({ format: "mlx", type: "none", groupSize: 32, zeros: "real" });
  await settled();
  expect(state().plan.error).toBeNull();
});
