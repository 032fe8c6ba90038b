import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { steps as cli } from "../../scripts/real/cli.mjs";
import { Facts } from "../../scripts/real/facts.mjs";
import { steps as page } from "../../scripts/real/page.mjs";
import { rowsOf } from "../../scripts/real/rows.mjs";
import { recipeFor, small, whole } from "../../scripts/real/settings.mjs";
import { compareBlock } from "../../scripts/real/tensors.mjs";
import { descendants, kindOf, processOf } from "../../scripts/real/watch.mjs";
import { parseRecipe } from "../../src/recipe/schema";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "qep-real-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A safetensors file of F16 tensors, in a folder of its own. */
function checkpoint(name: string, tensors: Record<string, number[]>): string {
  let at = 0;
  const header = Object.entries(tensors).map(([tensor, words]) => {
    const from = at;
    at += 2 * words.length;
    return [tensor, { dtype: "F16", shape: [words.length], data_offsets: [from, at] }];
  });
  const json = Buffer.from(JSON.stringify({ __metadata__: { format: "pt" }, ...Object.fromEntries(header) }));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  const own = mkdtempSync(join(folder, name));
  writeFileSync(
    join(own, "model.safetensors"),
    Buffer.concat([size, json, Buffer.from(Uint16Array.from(Object.values(tensors).flat()).buffer)]),
  );
  return own;
}

describe("what npm run real runs", () => {
  it("is a recipe, of all blocks or of the page's first", () => {
    for (const size of [small, whole])
      expect(parseRecipe(recipeFor(size, size.pageBlocks))).toMatchObject({ method: "gptq", bits: 4, blocks: size.pageBlocks });
    expect(parseRecipe(recipeFor(whole, null)).rules).toEqual([{ match: "down_proj", alpha: 0.5 }]);
  });
});

describe("the comparison of two exports", () => {
  const ours = { "model.layers.0.a": [1, 2, 3], "model.layers.1.a": [4, 5], "model.layers.10.a": [6] };
  it("counts a block's weights, and those that differ", () => {
    const [a, b] = [checkpoint("a", ours), checkpoint("b", { ...ours, "model.layers.1.a": [4, 261], "model.layers.10.a": [7] })];
    expect(compareBlock(a, b, 0)).toEqual({ weights: 3, different: 0 });
    expect(compareBlock(a, b, 1)).toEqual({ weights: 2, different: 1 });
  });
  it("stops where a tensor is missing or of another size", () => {
    const a = checkpoint("a", ours);
    expect(() => compareBlock(a, checkpoint("b", { "model.layers.0.a": [1] }), 0)).toThrow("model.layers.0.a");
    expect(() => compareBlock(a, checkpoint("c", {}), 0)).toThrow("model.layers.0.a");
  });
});

describe("the watch over processes", () => {
  it("reads a process whose name is hostile, and finds what it started", () => {
    const line = (id: number, parent: number, ticks: number) =>
      `${id} (a) b (c) S ${parent} 0 0 0 -1 0 0 0 0 0 ${ticks} 5 ${"0 ".repeat(30)}`;
    const all = [line(7, 1, 10), line(8, 7, 20), line(9, 8, 30), line(10, 1, 40)].map((text) => processOf(text)!);
    expect(all[0]).toEqual({ id: 7, parent: 1, cpuMs: 150 });
    expect(descendants(all, 7).map(({ id }) => id)).toEqual([8, 9]);
    expect(processOf("")).toBe(null);
  });
  it("tells Chromium's processes apart", () => {
    expect(kindOf("/usr/lib/chromium/chromium\0--type=gpu-process\0--x")).toBe("gpu-process");
    expect(kindOf("/usr/lib/chromium/chromium\0--headless")).toBe("browser");
    expect(kindOf("/usr/bin/node\0bin/qep-studio.mjs")).toBe("node");
  });
});

describe("facts", () => {
  it("are measured once for a key, and again where they are asked for afresh or the key is another", async () => {
    const file = join(folder, "facts.json");
    let measured = 0;
    const get = (key: string, fresh = false) => new Facts(file, fresh).get("a", key, async () => ++measured);
    expect([await get("x"), await get("x"), await get("x", true), await get("x"), await get("y")]).toEqual([1, 1, 2, 2, 3]);
  });
});

describe("the rows", () => {
  const taken = { ms: 65_000, peaks: { node: 900e6, "gpu-process": 800e6, renderer: 300e6 }, others: 0.01 };
  const measured = { perplexity: 35.3109, theirs: 35.3111, windows: 12, tokens: 3072, adapter: "A", taken };
  const run = {
    adapter: "A",
    ms: 600_000,
    peakGpuBytes: 200e6,
    blocks: 30,
    layers: 210,
    fallbacks: 0,
    tokens: 3072,
    resumed: false,
    taken,
  };
  const paged = {
    adapter: "A",
    said: "",
    peak: "210 MB",
    taken,
    before: 42.337,
    after: 43,
    measuring: taken,
    theirs: 42.3375,
    blocks: 5,
    windows: 2,
  };
  const fact = (value: unknown, commit = "now") => ({ key: "", date: "2026-01-01", commit, value });
  const all = {
    [cli.before]: fact(measured),
    [cli.quantizing]: fact(run),
    [cli.after]: fact({ ...measured, perplexity: 38, theirs: 37 }),
    [page.running]: fact(paged),
    [page.comparing]: fact([
      { block: 0, weights: 100, different: 0 },
      { block: 1, weights: 100, different: 3 },
    ]),
  };

  it("say which goals are met, and by what number", () => {
    const rows = rowsOf(all, "now");
    expect(rows.filter(({ met }) => met === true)).toHaveLength(4);
    expect(rows.filter(({ met }) => met === false).map(({ what }) => what)).toEqual([
      "command line, after: perplexity on 12 windows of 256",
      "block 2: the page’s weights beside the command line’s",
    ]);
    expect(rows.find(({ what }) => what.startsWith("command line, after: p"))!.measured).toBe(
      "38.000 (7.6 % above before); transformers: 37.000",
    );
    for (const { what, measured } of rows) expect(`${what}${measured}`).not.toMatch(/NaN|undefined|null/);
  });

  it("say what a time was disturbed by, and what is older than the rest", () => {
    const quantizing = fact({ ...run, resumed: true, taken: { ...taken, others: 0.4 } }, "before");
    const [time] = rowsOf({ [cli.quantizing]: quantizing }, "now");
    expect(time.why).toMatch(/resumed.*Other work had 40 %.*measured at commit before, 2026-01-01\.$/);
  });

  it("leave out what was not measured", () => {
    expect(rowsOf({}, "now")).toEqual([]);
    expect(rowsOf({ [page.running]: all[page.running] }, "now").length).toBeGreaterThan(4);
  });
});
