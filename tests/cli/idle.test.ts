import { expect, test } from "vitest";
import { idleOptions, typeIsDense } from "../../src/cli/idle";
import { defaultRecipe } from "../../src/recipe/recipe";

test("options that change nothing are named, and only those", () => {
  expect(idleOptions({ calibration: "a.jsonl", "text-field": "body", "gpu-memory": "2GiB" })).toEqual([]);
  expect(idleOptions({ cpu: true })).toEqual([]);
  expect(idleOptions({ cpu: true, "gpu-memory": "2GiB" })).toEqual(["--gpu-memory has no effect beside --cpu."]);
});

test.each([{ calibration: "a.NPY" }, { text: "a.npy" }, { tokens: "a.npy" }])("a file of token ids has no field: %o", (given) => {
  expect(idleOptions({ ...given, "text-field": "body" })).toEqual([expect.stringMatching(/^--text-field .* holds token ids\.$/)]);
});

test("a checkpoint that cannot be run reads no text", () => {
  expect(idleOptions({}, false)).toEqual([]);
  expect(idleOptions({ calibration: "a.txt", "text-field": "body" }, false)).toEqual([
    expect.stringMatching(/^--calibration has no effect: .*unknown architecture/),
    "--text-field has no effect: no text is read.",
  ]);
});

test("a GGUF type in a dense file is told, unless that file is asked for", () => {
  const recipe = { ...defaultRecipe, type: "Q4_K_M" } as const;
  expect(typeIsDense(recipe, {})).toEqual([expect.stringMatching(/grid of Q4_K_M and written dense.*--format gguf or --for llama\.cpp/)]);
  expect(typeIsDense(recipe, { format: "dense" })).toEqual([]);
  expect(typeIsDense({ ...recipe, format: "gguf" }, {})).toEqual([]);
  expect(typeIsDense(defaultRecipe, {})).toEqual([]);
});
