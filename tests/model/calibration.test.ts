import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { loadCalibration, loadTokens } from "../../src/engine/tokens";
import { bytesFile } from "../../src/io/memory";
import { diskSourceFile } from "../../src/io/node";
import { checkTokens, cutIntoWindows, pickWindows, type TokenWindows } from "../../src/model/calibration";
import { demoTokens, openDemo } from "../support/demo";
import { recipeWith } from "../support/recipe";

const demo = (name: string) => new URL(`../../public/demo/${name}`, import.meta.url).pathname;

describe("the demo's texts", () => {
  test.each(["calibration", "evaluation"] as const)("%s.jsonl gives the very windows of the oracle's figures", async (name) => {
    const want = demoTokens(name);
    const ours = await loadTokens(await openDemo(), await diskSourceFile(demo(`${name}.jsonl`)), {
      windows: null,
      windowLength: 128,
    });
    expect(ours.windows).toBeGreaterThan(want.windows);
    expect(ours.ids.slice(0, want.ids.length)).toEqual(want.ids);
  });

  test("the first windows alone are those of the whole text", async () => {
    const file = await diskSourceFile(demo("evaluation.jsonl"));
    const [all, some] = await Promise.all(
      [null, 5].map(async (windows) => loadTokens(await openDemo(), file, { windows, windowLength: 128 })),
    );
    expect(some).toMatchObject({ windows: 5, length: 128 });
    expect(some.ids).toEqual(all.ids.slice(0, 5 * 128));
  });

  test("too little text says how much there is and how much is needed", async () => {
    const short = bytesFile("short.txt", "Once upon a time.");
    await expect(loadTokens(await openDemo(), short, { windows: null, windowLength: 128 })).rejects.toThrow(
      /short\.txt has \d+ tokens, but one window needs 128/,
    );
    const text = await diskSourceFile(demo("calibration.jsonl"));
    const many = recipeWith({ calibration: { windows: 4000, windowLength: 128, seed: 0 } });
    await expect(loadCalibration(await openDemo(), text, many)).rejects.toThrow(/gives \d+ windows of 128 tokens, but 4000 are asked for/);
  });

  test("what is not UTF-8 is refused", async () => {
    const file = bytesFile("a.txt", Uint8Array.of(0xc3, 0x28, 0x41));
    await expect(loadTokens(await openDemo(), file, { windows: null, windowLength: 4 })).rejects.toMatchObject({
      code: "bad-text",
      about: "text",
    });
  });

  test("a cancel stops the tokenizer between documents", async () => {
    const text = await diskSourceFile(demo("calibration.jsonl"));
    const controller = new AbortController();
    controller.abort();
    await expect(
      loadTokens(await openDemo(), text, { windows: null, windowLength: 128 }, { signal: controller.signal }),
    ).rejects.toMatchObject({
      code: "cancelled",
    });
  });
});

describe("windows", () => {
  const ids = Int32Array.from({ length: 103 }, (_, i) => i);

  test("are consecutive, and the rest is dropped", () => {
    expect(cutIntoWindows(ids, 10, "x")).toMatchObject({ windows: 10, length: 10 });
  });

  test("are drawn by the seed, without repetition, in order", () => {
    const all = cutIntoWindows(ids, 10, "x");
    const first = (seed: number) => Array.from({ length: 4 }, (_, w) => pickWindows(all, 4, seed, "x").tokens.ids[w * 10]);
    expect(first(0)).toEqual(first(0));
    expect(first(0)).not.toEqual(first(1));
    expect(first(0)).toEqual([...new Set(first(0))].sort((a, b) => a - b));
    expect(pickWindows(all, null, 3, "x")).toEqual({ tokens: all, heldOut: null });
  });

  test("held out are others, and change nothing of what is drawn", () => {
    const all = cutIntoWindows(ids, 10, "x");
    const firsts = (windows: TokenWindows) => Array.from({ length: windows.windows }, (_, w) => windows.ids[w * 10]);
    for (const count of [4, null]) {
      const { tokens, heldOut } = pickWindows(all, count, 5, "x", 3);
      expect(tokens.windows).toBe(count ?? 7);
      expect(heldOut!.windows).toBe(3);
      expect(new Set([...firsts(tokens), ...firsts(heldOut!)]).size).toBe(tokens.windows + 3);
    }
    expect(pickWindows(all, 4, 5, "x", 3).tokens).toEqual(pickWindows(all, 4, 5, "x").tokens);
    expect(() => pickWindows(all, 8, 5, "x", 3)).toThrow("11 are asked for (3 of them held out)");
    expect(() => pickWindows(all, null, 5, "x", 10)).toThrow("11 are asked for");
  });

  test("that the model cannot take are refused", () => {
    const tokens = cutIntoWindows(ids, 10, "x");
    expect(() => checkTokens(tokens, 50, 64, "x.npy")).toThrow("x.npy holds id 50 at position 50, but the vocabulary has only 50");
    expect(() => checkTokens(tokens, 200, 8, "x.npy")).toThrow("the model knows only 8 positions");
    expect(() => checkTokens(cutIntoWindows(ids, 1, "x"), 200, 8, "x.npy")).toThrow("at least two");
    expect(() => checkTokens({ ...tokens, ids: Int32Array.of(-1) }, 200, 64, "x.npy")).toThrow("id -1");
  });

  test("of a 2-D .npy are its rows, whatever length is asked for", async () => {
    const file = bytesFile("c.npy", readFileSync(new URL("../fixtures/demo/calibration.npy", import.meta.url)));
    expect(await loadTokens(await openDemo(), file, { windows: null, windowLength: 99 })).toMatchObject({
      windows: 16,
      length: 128,
    });
  });
});
