import { expect, test } from "vitest";
import { checkWidths } from "../../src/engine/limits";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import { resolve } from "../../src/quant/resolve";
import { recipeWith } from "../support/recipe";
import { tinySource } from "../support/tiny";

test("a layer too wide for a binding is refused before any work, by name and with both widths", async () => {
  // hidden 24, mlp 40
  const plan = resolve(recipeWith({ method: "rtn" }), await openModel(tinySource()));
  const { adapter } = createCpuOps();
  const of = (columns: number) => ({ ...adapter, limits: { buffer: 2 ** 20, binding: 256 * columns } });
  expect(() => checkWidths(plan, adapter)).not.toThrow();
  expect(() => checkWidths(plan, of(40))).not.toThrow();
  expect(() => checkWidths(plan, of(39))).toThrow(
    "This model needs more than the GPU allows: model.layers.0.mlp.gate_proj is 40 wide, but this GPU allows 39.",
  );
  expect(() => checkWidths(plan, { ...of(40), limits: { buffer: 256 * 39, binding: 2 ** 20 } })).toThrow("this GPU allows 39");
});
