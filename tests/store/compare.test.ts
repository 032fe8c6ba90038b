import { expect, it } from "vitest";
import { baseOf, defaultRecipe, isBase, type Recipe } from "../../src/recipe/recipe";
import { compareWithPartner, isPair, partnerRecipe } from "../../src/store/compare";
import { applyToJob, secondsLeft } from "../../src/store/inbox";
import type { Job, Run } from "../../src/store/state";
import { demoText, sourceOf, textKey } from "../../src/store/texts";
import { someDivergence } from "../support/divergence";
import { aRun } from "./a-run";

const run = (id: string, recipe: Recipe, last: number, more: Partial<Run> = {}): Run =>
  aRun({
    id,
    recipe,
    status: "done",
    totalBlocks: 1,
    quantizedBlocks: 1,
    blocks: [{ index: 0, delta: last, relativeDelta: last / 1e6 }],
    ms: 1000,
    held: true,
    ...more,
  });

const base = run("base", baseOf(defaultRecipe), 200);
const qep = run("qep", defaultRecipe, 130, { ms: 1210 });

it("a pair differs in QEP alone", () => {
  expect(isPair(base, qep)).toBe(true);
  expect(isPair(qep, qep)).toBe(false);
  expect(isPair(base, run("x", { ...defaultRecipe, bits: 2 }, 1))).toBe(false);
  expect(isPair(base, run("x", { ...defaultRecipe, blocks: 2 }, 1))).toBe(false);
  expect(isPair(base, run("x", defaultRecipe, 1, { text: { kind: "pasted", pasted: "a", file: null } }))).toBe(false);
  // A base run knows no damping, so the QEP run's does not part them.
  expect(isPair(base, run("x", { ...defaultRecipe, qep: { ...defaultRecipe.qep, damp: 1 } }, 1))).toBe(true);
  expect(
    isPair(base, run("x", { ...defaultRecipe, rules: [{ match: "down_proj", alpha: 0.5 }], qep: { ...defaultRecipe.qep, alpha: 0 } }, 1)),
  ).toBe(true);
});

it("says what QEP cost and where it ends, from either side", () => {
  for (const chosen of [base, qep]) {
    const comparison = compareWithPartner([base, qep], chosen)!;
    expect(comparison.timeRatio).toBeCloseTo(1.21);
    expect(comparison.calibration).toEqual({ base: 200, qep: 130, change: 130 / 200 - 1, below: true });
  }
});

it("compares with the latest QEP run, and never with one that did not finish", () => {
  const later = run("later", { ...defaultRecipe, qep: { ...defaultRecipe.qep, alpha: 1 } }, 250);
  expect(compareWithPartner([base, qep, later], base)!.calibration).toMatchObject({ qep: 250, below: false });
  expect(compareWithPartner([base, run("x", defaultRecipe, 1, { status: "cancelled" })], base)).toBeNull();
  expect(compareWithPartner([base, qep], null)).toBeNull();
});

it("leaves the full-precision stream out of the times, whichever run computed it", () => {
  const b = run("b", base.recipe, 200, { ms: 1800, streamMs: 800 });
  expect(compareWithPartner([b, qep], b)!.timeRatio).toBeCloseTo(1.21);
  const q = run("q", qep.recipe, 130, { ms: 2010, streamMs: 800 });
  expect(compareWithPartner([base, q], base)!.timeRatio).toBeCloseTo(1.21);
  expect(compareWithPartner([run("b", base.recipe, 200, { ms: null }), qep], qep)!.timeRatio).toBeNull();
});

it("does not compare measurements of different windows", () => {
  const evaluation = {
    perplexityBefore: 3,
    perplexity: 3.5,
    divergence: someDivergence,
    blocks: base.blocks,
    tokens: 8,
    windows: 1,
    ms: 1,
  };
  const measured = (...keys: string[]) => ({ measured: keys.map((key) => ({ key, textLabel: key, own: false, evaluation })) });
  const b = run("b", base.recipe, 2, measured("16 demo", "16 other", "calibration"));
  const texts = (...keys: string[]) =>
    compareWithPartner([b, run("q", qep.recipe, 1, measured(...keys))], b)!.evaluations.map((e) => e.text.label);
  expect(texts("8 demo")).toEqual([]);
  expect(texts("16 other", "calibration")).toEqual(["16 other"]);
  expect(texts("16 other", "16 demo")).toEqual(["16 demo", "16 other"]);
});

it("the missing partner takes α from the panel, or ½", () => {
  const panel = { ...defaultRecipe, qep: { ...defaultRecipe.qep, alpha: 0.8 } };
  expect(partnerRecipe(base.recipe, panel).qep.alpha).toBe(0.8);
  expect(partnerRecipe(base.recipe, base.recipe).qep.alpha).toBe(0.5);
  expect(partnerRecipe(qep.recipe, panel)).toEqual(baseOf(qep.recipe));
});

const job: Job = {
  kind: "run",
  runId: "r",
  fraction: 0,
  where: "",
  startedAt: 0,
  now: 0,
  expectedSeconds: 12,
  cancelling: false,
  part: 1,
  parts: 1,
  live: false,
};

it("time left comes from the plan, then from the rate, and never lies when the plan was wrong", () => {
  expect(secondsLeft({ ...job, now: 2000 })).toBe(10);
  expect(secondsLeft({ ...job, now: 20_000 })).toBeNull();
  expect(secondsLeft({ ...job, now: 5000, fraction: 0.25 })).toBe(15);
  // A tenth done in 6 of 12 s: a quarter of the rate's 54 s, three quarters of the plan's 6.
  expect(secondsLeft({ ...job, now: 6000, fraction: 0.1 })).toBeCloseTo(0.25 * 54 + 0.75 * 6, 9);
  expect(secondsLeft({ ...job, now: 6000, fraction: 0.02 })).toBe(6);
  expect(secondsLeft({ ...job, now: 20_000, fraction: 0.1 })).toBe(180);
  expect(secondsLeft({ ...job, expectedSeconds: null })).toBeNull();
});

it("parts of a job share its progress", () => {
  const second = { ...job, parts: 2, part: 2, fraction: 0.5 };
  expect(applyToJob(second, [{ type: "progress", done: 1, total: 2, where: "block 1" }], 9)).toMatchObject({ fraction: 0.75, now: 9 });
  // A late event of the first part does not take progress back.
  expect(applyToJob({ ...second, part: 1 }, [{ type: "progress", done: 1, total: 2, where: "" }], 9).fraction).toBe(0.5);
});

it("texts are told apart by what they hold", () => {
  expect(sourceOf(demoText)).toEqual({ kind: "demo" });
  expect(sourceOf({ kind: "pasted", pasted: "some text", file: null })).toEqual({ kind: "text", text: "some text" });
  const file = new File(["abc"], "a.txt", { lastModified: 1 });
  expect(sourceOf({ kind: "file", pasted: "", file })).toEqual({ kind: "file", file });
  const other = new File(["abcd"], "a.txt", { lastModified: 1 });
  expect(textKey({ kind: "file", pasted: "", file })).not.toBe(textKey({ kind: "file", pasted: "", file: other }));
});

it("a base on other windows is no partner; of a number of windows none is missing", () => {
  const best = { ...defaultRecipe, qep: { ...defaultRecipe.qep, choice: "best" as const } };
  const chosen = run("best", best, 100);
  expect(isPair(base, chosen)).toBe(false);
  expect(isPair(run("held", baseOf(best), 100), chosen)).toBe(true);
  const some = { ...defaultRecipe.calibration, windows: 4 };
  expect(isPair(run("x", { ...base.recipe, calibration: some }, 1), run("y", { ...best, calibration: some }, 1))).toBe(true);
});

it("the QEP run that is added is one, whatever the panel's rules say", () => {
  const panel = { ...baseOf(defaultRecipe), rules: [{ match: "down_proj", alpha: 0.5 }] };
  expect(isBase(partnerRecipe(base.recipe, panel))).toBe(false);
  expect(isPair(base, run("x", partnerRecipe(base.recipe, panel), 1))).toBe(true);
});
