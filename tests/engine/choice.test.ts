import fc from "fast-check";
import { expect, test } from "vitest";
import { chooseAlpha } from "../../src/engine/choice";
import { openModel } from "../../src/model/checkpoint";
import { resolve } from "../../src/quant/resolve";
import { recipeWith } from "../support/recipe";
import { tinySource } from "../support/tiny";

const error = ({ base, slope, curvature }: { base: number; slope: number; curvature: number }, alpha: number) =>
  base - 2 * slope * alpha + curvature * alpha ** 2;

/** Evenly spread; fast-check's own doubles are nearly all tiny. */
const between = (least: number, most: number) => fc.integer({ min: 1, max: 9999 }).map((n) => least + ((most - least) * n) / 10_000);

/** Parabolas whose least lies anywhere from well below 0 to well beyond 1. */
const curves = fc.record({
  base: between(1, 2),
  slope: between(-1, 1),
  curvature: between(0.01, 3),
});

test("the guard keeps the recipe's α, whatever it is, exactly where it errs no more than α = 0", () => {
  fc.assert(
    fc.property(curves, between(0.01, 1), (curve, alpha) => {
      const gained = error(curve, 0) - error(curve, alpha);
      fc.pre(Math.abs(gained) > 1e-9);
      expect(chooseAlpha({ choice: "guarded", alpha }, curve)).toBe(gained > 0 ? alpha : 0);
    }),
  );
});

test("the best α errs no more than any other of a fine grid, to three digits", () => {
  fc.assert(
    fc.property(curves, (curve) => {
      const best = chooseAlpha({ choice: "best", alpha: 0.5 }, curve);
      const slack = curve.curvature * 0.0005 ** 2 + 1e-9;
      for (let a = 0; a <= 1; a += 1 / 64) expect(error(curve, best)).toBeLessThanOrEqual(error(curve, a) + slack);
    }),
  );
});

test("an α that a rule gives is kept, however much it errs", async () => {
  const rising = { base: 1, slope: -1, curvature: 1 };
  const model = await openModel(tinySource());
  for (const choice of ["given", "guarded", "best"] as const) {
    const { layers } = resolve(recipeWith({ rules: [{ match: "layers.1.self_attn.q_proj", alpha: 0.75 }] }, { choice }), model);
    const chosen = layers.map((layer) => chooseAlpha(layer, rising));
    expect(chosen[layers.findIndex((layer) => layer.name === "model.layers.1.self_attn.q_proj")]).toBe(0.75);
    // The others' are theirs.
    if (choice !== "given") expect(chosen.filter((alpha) => alpha !== 0)).toEqual([0.75]);
  }
});
