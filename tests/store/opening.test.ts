import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { recipeWith } from "../support/recipe";
import { checkpointFiles, given, made, packedFiles, zipped } from "./opened";

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
  // Its inputs are 64 and 32 wide; the bits stay those that the place was chosen with.
  await studio.openDemo();
  expect(state().recipe).toMatchObject({ destination: "vllm", groupSize: 32 });
  studio.chooseDestination("llama.cpp");
  expect(state().recipe).toMatchObject({ format: "gguf", type: "Q4_K_M" });
  studio.chooseDestination("mlx");
  expect(state().recipe).toMatchObject({ format: "mlx", type: "none", groupSize: 32, zeros: "real" });
  await settled();
  expect(state().plan.error).toBeNull();
});

it("a zip of the page's own opens as the files in it, and is an original to compare with", async () => {
  const { studio, state } = made();
  await studio.start();
  await studio.openFiles(given([await zipped(await packedFiles(), "out.zip")], "out"));
  expect(state().model).toMatchObject({ error: null, summary: { label: "out", hasTokenizer: true } });
  expect(state().model.summary?.packing).toContain("GPTQ");
  studio.editEvaluation({ windows: 2 });
  studio.editRecipe({ calibration: { windowLength: 16 } });
  await studio.measureAgainst(given([await zipped(checkpointFiles(), "first.zip")], "first"));
  expect(state().model.compared).toMatchObject([{ original: "first" }]);
});

it("a zip that is packed, and files that are no checkpoint, are refused by name", async () => {
  const { studio, state } = made();
  await studio.start();
  const bytes = Buffer.from(await (await zipped([new File(["{}"], "config.json")], "other.zip")).arrayBuffer());
  bytes[bytes.indexOf("PK\x01\x02", 0, "latin1") + 10] = 8; // deflated, says its directory
  await studio.openFiles(given([new File([bytes], "other.zip")], "other"));
  expect(state().model.error?.message).toBe(
    "This file cannot be read: other.zip holds other/config.json compressed. Unpack it and give the folder or, where that fails too, export or download it again.",
  );
  await studio.openFiles(given([new File(["a note"], "notes.txt")], "notes"));
  expect(state().model.error?.message).toMatch(
    /^This is no checkpoint: notes\.txt\. Give a model's folder .* or a zip that QEP Studio wrote\.$/,
  );
});
