import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { agreementOf } from "../../scripts/results/agreement";
import { withRowsOf } from "../../scripts/results/beside/merge";
import { filesOf } from "../../scripts/results/beside/plan";
import { besideSection, verdict } from "../../scripts/results/beside/render";
import type { Beside, Scored } from "../../scripts/results/beside/types";
import { Cache, fill, fingerprint } from "../../scripts/results/cache";
import { chart, linearTicks, logTicks } from "../../scripts/results/chart";
import { factors } from "../../scripts/results/growth";
import { besideOf } from "../../scripts/results/page";
import { pairs, qepWords } from "../../scripts/results/qep";
import { dataPath, render } from "../../scripts/results/render";
import { isTabled } from "../../scripts/results/scores";
import { label } from "../../scripts/results/text";
import type { Measurement, Oracle, Results } from "../../scripts/results/types";
import { readText, root } from "../support/tree";

const oracle: Oracle = JSON.parse(readText("tests/fixtures/oracle/figures.json")).recipes;
const committed: Results = JSON.parse(readText(dataPath));

/** A measurement that agrees with the oracle to the last digit. */
function perfect(name: string, right = 180): Measurement {
  const { flags, perplexity, delta, relativeDelta, deltaEvaluation, layers } = oracle[name];
  const tasks = [
    { kind: "all", questions: 200, accuracy: right / 200, accuracyError: 0, normalizedAccuracy: right / 200, normalizedAccuracyError: 0 },
  ];
  const evaluation = { delta: deltaEvaluation, relativeDelta };
  return { name, flags, perplexity, calibration: { delta, relativeDelta }, evaluation, layers, tasks };
}

describe("docs/results.md", () => {
  it("is what the script makes of the files in docs/results", () => {
    const files = render(committed, oracle, besideOf(root));
    expect(files.size).toBeGreaterThan(2);
    for (const [path, text] of files) expect(readText(path), `${path}: npm run results -- --render`).toBe(text);
  });

  it("says what is not measured, and nothing once all is", () => {
    const page = (results: Results) => render(results, oracle).get("docs/results.md")!;
    const whole = { ...committed, recipes: Object.keys(oracle).map((name) => perfect(name)) };
    expect(page(whole)).not.toContain("not complete");
    expect(page(whole)).toContain("All 40 of them are within their tolerances.");
    const without = { ...whole, recipes: whole.recipes.filter(({ name }) => name !== "awq-3" && name !== "quip-2-qep") };
    expect(page(without)).toContain("Not measured yet: AWQ 3-bit and QuIP 2-bit + QEP.");
    expect(page({ ...without, original: null })).toContain("Not measured yet: the model as it is, AWQ 3-bit");
  });

  it("has the paper's table: four methods, three widths, with and without QEP", () => {
    expect(Object.keys(oracle).filter(isTabled)).toHaveLength(24);
    expect(label("gptq-3-g32-act-qep")).toBe("GPTQ 3-bit g32 act-order + QEP");
  });

  it("says by hand only what the measured curves show", () => {
    const partial = pairs(committed.recipes.filter(({ flags }) => flags.includes("--blocks")));
    expect(partial).toHaveLength(3);
    for (const { base, qep } of partial) {
      const ratio = base.calibration.delta.map((d, m) => qep.calibration.delta[m] / d);
      expect(Math.max(...ratio)).toBeLessThan(1);
      expect(ratio[0]).toBeGreaterThan(0.9); // "a few per cent only"
      expect(Math.abs(ratio[11] - 2 / 3)).toBeLessThan(0.05); // "by about a third"
      expect(ratio[11]).toBeLessThan(ratio[9]); // "still widens"
      for (const { delta, relativeDelta } of [base.calibration, qep.calibration]) {
        const [first, ...rest] = factors(delta, 1, 12);
        expect(first).toBeGreaterThan(Math.max(...rest)); // "steepest from block 1 to block 2"
        expect(rest[7]).toBeGreaterThan(Math.max(...rest.slice(1, 7))); // "steeper again in block 10"
        for (const factor of factors(delta, 10, 12)) expect(Math.abs(factor - 1.28)).toBeLessThan(0.13); // "a sixth to two fifths"
        expect(relativeDelta[11]).toBeLessThan(relativeDelta[9]);
      }
    }
  });
});

describe("beside llama.cpp", () => {
  const rows = (...divergences: [method: string, values: number[]][]): Scored[] =>
    divergences.map(([method, values]) => ({
      type: "Q2_K",
      method,
      bytes: values.map(() => 1e6),
      scores: values.map((divergence) => ({ divergence, perplexity: 4, agreement: 0.9 })),
      adapter: "a GPU",
      build: "0123456789abcdef",
    }));
  const comparison = (...given: Parameters<typeof rows>): Beside => ({
    model: "m",
    versions: { x: "1" },
    calibration: { windows: 1, length: 2, of: 3 },
    evaluation: { windows: 1, length: 2 },
    original: { bytes: 2e6, perplexity: 4, divergence: 0, agreement: 1 },
    rows: rows(...given),
  });
  const theirs = ["llama.cpp, imatrix", [0.011, 0.012, 0.013]] satisfies [string, number[]];

  it.each([
    ["nearer beyond the spread", [0.004, 0.005]],
    ["as near within the spread of the draws", [0.0105, 0.0115]],
    ["as near within the spread of the draws", [0.0131, 0.0135]],
    ["**farther** beyond the spread", [0.02, 0.021]],
    ["nearer in one draw, whose spread is not measured", [0.002]],
  ])("says that ours is %s", (words, ours) => {
    expect(verdict(rows(theirs, ["RTN", [0.03]], ["GPTQ", ours]), "Q2_K")).toContain(`“GPTQ” is ${words}`);
  });

  it("is about the preset that is the default, and tells of a better way", () => {
    const all = rows(theirs, ["the preset Good", [0.025]], ["GPTQ", [0.02]]);
    expect(verdict(all, "Q2_K")).toMatch(/“the preset Good” is .*: 25\.00 against .* Least of ours: “GPTQ”, 20\.00\.$/);
  });

  it("says nothing of a type that one side lacks", () => {
    expect(verdict(rows(theirs), "Q2_K")).toBeNull();
    expect(verdict(rows(["llama.cpp", [0.01]], ["RTN", [0.01]]), "Q2_K")).toBeNull();
  });

  it("shows the mean and the range of the draws", () => {
    const made = comparison(theirs);
    expect(besideSection([made])).toContain(
      "| Q2_K | llama.cpp, imatrix | 3 | 1.000 | 12.00 (2.00) | 90.00 (0.00) | 4.0000 (0.0000) | 0123 |",
    );
    expect(besideSection([made])).toContain("Ours by build 0123 on a GPU;");
    expect(besideSection([])).toBe("");
  });

  it("counts no file of a way of former times, and tells which types were scored as copies", () => {
    const made = comparison(theirs, ["a way of former times", [3]]);
    expect(besideSection([made])).toContain(`Files measured so far: Q2_K 3 of ${filesOf(["Q2_K"]).length} and`);
    const as = (type: string, size: number) => ({ ...made, rows: made.rows.map((row) => ({ ...row, type, bytes: [size, size, size] })) });
    expect(besideSection([as("Q2_0", 1e8)])).toContain("Q2_0: libllama has no fast product for it");
    for (const files of [as("Q2_0", 1e6), as("Q4_0", 1e8)]) expect(besideSection([files])).not.toContain("no fast product");
  });

  it("keeps rows of an earlier build that a later one has not measured, and none where data or llama.cpp were others", () => {
    const before = comparison(["a way of former times", [3]], ["RTN", [1]], ["GPTQ", [1]]);
    const now = { ...comparison(["GPTQ", [2]]), rows: rows(["GPTQ", [2]]).map((row) => ({ ...row, build: "new" })) };
    const { rows: merged } = withRowsOf(before, now);
    expect(merged.map(({ method, build }) => [method, build])).toEqual([
      ["RTN", "0123456789abcdef"],
      ["GPTQ", "new"],
      ["a way of former times", "0123456789abcdef"],
    ]);
    expect(withRowsOf({ ...before, versions: { x: "2" } }, now)).toEqual(now);
    expect(withRowsOf({ ...before, calibration: { windows: 2, length: 2, of: 3 } }, now)).toEqual(now);
  });

  it("makes files that depend on no draw once", () => {
    const files = filesOf(["Q4_0"]);
    const of = (way: string) => files.filter((file) => file[1] === way).length;
    expect([of("llama.cpp"), of("RTN"), of("llama.cpp, imatrix"), of("GPTQ + QEP")]).toEqual([1, 1, 3, 3]);
  });
});

describe("what QEP changes", () => {
  it("is said as it is: what improves, what does not", () => {
    const words = qepWords(pairs(["rtn-2", "rtn-2-qep", "gptq-3", "gptq-3-qep"].map((name) => perfect(name))));
    expect(words).toContain("QEP lowers perplexity in 1 of 2 pairs, most with RTN 2-bit (9.781 → 6.225, −36.4 %).");
    expect(words).toContain("It does **not** with GPTQ 3-bit (3.700 → 3.720, +0.5 %).");
    expect(words).toContain("more in 0 of 2 pairs, fewer in 0, as many in 2. No change is more than twice its standard error.");
  });

  it("calls a change of accuracy clear only beyond twice its standard error", () => {
    // Each share of 200 near 0.6 has an error of 3.5 points, their difference one of 4.9.
    const of = (right: number) => qepWords(pairs([perfect("rtn-2", 120), perfect("rtn-2-qep", right)]));
    expect(of(138)).toContain("more in 1 of 1 pairs, fewer in 0, as many in 0. No change is more");
    expect(of(142)).toContain("twice its standard error with RTN 2-bit (+11.0 points)");
    expect(of(98)).toContain("twice its standard error with RTN 2-bit (−11.0 points)");
  });
});

describe("agreement with the oracle", () => {
  const theirs = oracle["rtn-4"];
  const layer = Object.keys(theirs.layers)[3];
  it("holds for its own figures", () => {
    expect(agreementOf(perfect("rtn-4"), theirs)).toMatchObject({ delta: 0, perplexity: 0, misses: [] });
  });

  it.each<[string, (m: Measurement) => Measurement, string]>([
    ["a Δ", (m) => ({ ...m, calibration: { ...m.calibration, delta: m.calibration.delta.map((d, i) => (i === 4 ? 1.06 * d : d)) } }), "Δ"],
    ["a Δ of the evaluation", (m) => ({ ...m, evaluation: { ...m.evaluation, delta: m.evaluation.delta.map((d) => d / 1.06) } }), "Δ"],
    ["too few blocks", (m) => ({ ...m, evaluation: { ...m.evaluation, delta: m.evaluation.delta.slice(1) } }), "Δ"],
    ["the perplexity", (m) => ({ ...m, perplexity: 1.006 * m.perplexity }), "perplexity"],
    ["no number", (m) => ({ ...m, perplexity: Number.NaN }), "perplexity"],
    ["a layer", (m) => ({ ...m, layers: { ...m.layers, [layer]: 1.06 * m.layers[layer] } }), layer],
    ["a layer that is not there", ({ layers: { [layer]: _, ...layers }, ...m }) => ({ ...m, layers }), layer],
  ])("is missed, and named, by %s", (_, change, what) => {
    const { misses } = agreementOf(change(perfect("rtn-4")), theirs);
    expect(misses).toHaveLength(1);
    expect(misses[0]).toMatch(new RegExp(`^${what.replaceAll(".", "\\.")} off by `));
  });
});

describe("the chart", () => {
  it("puts ours and the oracle's equal values on one spot, and has ticks where values are", () => {
    const line = { label: "a", color: "#000000", values: [1, 10, 100], dots: [1, 10, 100] };
    const svg = chart("t", 2, [{ title: "p", axis: "log", lines: [line] }]);
    const path = /<path d="M([^"]*)" fill="none"/.exec(svg)![1].split("L");
    const dots = [...svg.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)" r="3.5" fill="none" stroke="#000000"/g)].map(
      ([, x, y]) => `${x} ${y}`,
    );
    expect(dots).toEqual(path);
    const [low, middle, high] = path.map((p) => Number(p.split(" ")[1]));
    expect(middle).toBeCloseTo((low + high) / 2, 0);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    expect(logTicks(0.9, 30)).toEqual([1, 2, 5, 10, 20]);
    expect(linearTicks(0.29)).toEqual([0, 0.05, 0.1, 0.15, 0.2, 0.25]);
  });
});

describe("the cache", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "qep-results-"));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Fills a, b, c; interrupted at one of them. Gives what was made. */
  async function filling(cache: Cache<string>, fresh: boolean, interruptedAt?: string): Promise<string[]> {
    const made: string[] = [];
    const make = async (name: string) => {
      if (name === interruptedAt) throw new Error("interrupted");
      made.push(name);
      return `${name} of this filling`;
    };
    await fill(cache, ["a", "b", "c"], fresh, make).catch((e: Error) => expect(e.message).toBe("interrupted"));
    return made;
  }

  it("goes on where it was interrupted, also after a fresh start", async () => {
    const cache = new Cache<string>(join(folder, "key"));
    expect(await filling(cache, false, "b")).toEqual(["a"]);
    expect(await filling(cache, false)).toEqual(["b", "c"]);
    expect(await filling(cache, false)).toEqual([]);
    expect(await filling(cache, true, "c")).toEqual(["a", "b"]);
    expect(await filling(cache, false)).toEqual(["c"]);
    expect(cache.get("c")).toBe("c of this filling");
  });

  it("does not take a half-written file for a measurement", () => {
    const cache = new Cache<string>(folder);
    writeFileSync(join(folder, "a.json.123"), '"hal');
    expect(cache.get("a")).toBe(null);
  });

  it("has another key for another adapter, shader or model, and the same one for other words", () => {
    for (const path of ["src", "shaders", "public/demo", "tests/fixtures", "scripts/results", "package.json"]) {
      cpSync(join(root, path), join(folder, path), { recursive: true });
    }
    const first = fingerprint(folder, "adapter");
    expect(fingerprint(folder, "another")).not.toBe(first);
    mkdirSync(join(folder, "docs"));
    writeFileSync(join(folder, "docs/results.md"), "words");
    writeFileSync(join(folder, "scripts/results/growth.md"), "words");
    expect(fingerprint(folder, "adapter")).toBe(first);
    const keys = ["shaders/add.wgsl", "src/engine/run.ts", "public/demo/tasks.jsonl", "tests/fixtures/oracle/figures.json"].map((path) => {
      writeFileSync(join(folder, path), "changed");
      return fingerprint(folder, "adapter");
    });
    expect(new Set([first, ...keys]).size).toBe(5);
  });
});
