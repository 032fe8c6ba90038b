import { expect, test } from "vitest";
import { idleOptions } from "../../src/cli/idle";

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
