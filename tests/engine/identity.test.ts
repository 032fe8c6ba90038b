import { expect, test } from "vitest";
import { differences, identityOf } from "../../src/engine/identity";
import type { Calibration } from "../../src/model/calibration";
import { openCheckpoint } from "../../src/model/checkpoint";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource, tinyTensors, tinyTokens } from "../support/tiny";

const recipe = recipeWith({ bits: 3 });
const calibration: Calibration = { tokens: tinyTokens(4, 10), heldOut: tinyTokens(2, 10) };
const changed = { ...calibration.heldOut!, ids: calibration.heldOut!.ids.slice().fill(3, 5, 6) };

const identity = async (change: { source?: ReturnType<typeof tinySource>; calibration?: Calibration; label?: string } = {}) => {
  const checkpoint = await openCheckpoint(change.source ?? tinySource());
  return identityOf(checkpoint, recipe, 3, { label: change.label ?? "text", calibration: change.calibration ?? calibration });
};

const narrower = () => {
  const tensors = tinyTensors();
  const norm = tensors.get("model.norm.weight")!;
  tensors.set("model.norm.weight", { spec: { ...norm.spec, dtype: "BF16" }, bytes: norm.bytes });
  return tinySource(tinyConfig, tensors);
};

test.each<[string, Parameters<typeof identity>[0], string[]]>([
  ["nothing but the text's name", { label: "other" }, []],
  ["the length of windows", { calibration: { ...calibration, tokens: tinyTokens(8, 5) } }, ["the calibration windows are different ones"]],
  ["a held-out token", { calibration: { ...calibration, heldOut: changed } }, ["the calibration windows are different ones"]],
  ["that none is held out", { calibration: { ...calibration, heldOut: null } }, ["the calibration windows are different ones"]],
  [
    "a setting of the model",
    { source: tinySource({ ...tinyConfig, rope_theta: 500 }, tinyTensors()) },
    ["the checkpoint is a different one"],
  ],
  ["a tensor's dtype", { source: narrower() }, ["the checkpoint is a different one"]],
])("runs that differ in %s", async (_, change, found) => {
  expect(differences(await identity(), await identity(change))).toEqual(found);
});
