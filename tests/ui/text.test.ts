import { describe, expect, it } from "vitest";
import type { ModelSummary } from "../../src/results/model";
import type { PlanSummary } from "../../src/results/plan";
import { initialState, type State } from "../../src/store/state";
import { blockTicks, logDomain } from "../../src/ui/chart-scale";
import { exportText } from "../../src/ui/finish/what";
import { bytes, dampingText, duration, figure, parameters, percent, roughly } from "../../src/ui/format";
import { planParts } from "../../src/ui/run/PlanLine";
import { exportName } from "../../src/ui/save";
import { pageTitle, statusOf } from "../../src/ui/status";
import { aRun } from "../store/a-run";
import { plainRecipe } from "../support/recipe";

describe("numbers for people", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_444_992, "1.4 MB"],
    [999_600, "1.0 MB"],
    [41_300_000, "41 MB"],
    [2_200_000_000, "2.2 GB"],
    [156_000_000, "156 MB"],
  ])("%d bytes: %s", (n, text) => expect(bytes(n)).toBe(text));

  it.each([
    [0, "0"],
    [0.0379312, "0.0379"],
    [3.82822, "3.83"],
    [236_501.2, "236,501"],
    [1.9e6, "1.90e6"],
    [2.5e-7, "2.50e-7"],
    [Number.NaN, "—"],
  ])("%d: %s", (n, text) => expect(figure(n)).toBe(text));

  it("damping: tried again, or of two solves", () => {
    expect([dampingText([0.03125], 0), dampingText([0, 0.0001], 1), dampingText([0.01, 0.09375], 0)]).toEqual([
      "0.0313",
      "0 → 0.0001",
      "0.01 and 0.0938",
    ]);
  });

  it("durations", () => {
    expect([8.2, 42.4, 190, 120, 3900].map(duration)).toEqual(["8.2 s", "42 s", "3 min 10 s", "2 min", "1 h 5 min"]);
  });

  it("estimates are coarse", () => {
    expect([0.2, 9.4, 99, 190, 9000].map(roughly)).toEqual(["about 1 s", "about 9 s", "about 99 s", "about 3 min", "about 2.5 h"]);
  });

  it("shares and sizes", () => {
    expect([percent(0.0448), percent(0.0000001), percent(0)]).toEqual(["4.48 %", "<0.001 %", "0 %"]);
    expect([722_496, 1_100_048_384, 124e6].map(parameters)).toEqual(["722 thousand", "1.1 billion", "124 million"]);
  });
});

describe("the log axis", () => {
  it("ends at 1, 2, 5 times a power of ten around the data", () => {
    expect(logDomain([14_650, 335_403])).toEqual({ domain: [10_000, 500_000], ticks: [10_000, 20_000, 50_000, 100_000, 200_000, 500_000] });
    expect(logDomain([0.0298, 0.0423])).toEqual({ domain: [0.02, 0.05], ticks: [0.02, 0.05] });
  });

  it("writes only powers of ten over a wide range", () => {
    expect(logDomain([3, 40_000_000]).ticks).toEqual([10, 100, 1000, 10_000, 100_000, 1e6, 1e7]);
  });

  it("has room for one value, and for none", () => {
    expect(logDomain([20_000]).domain).toEqual([20_000, 50_000]);
    expect(logDomain([0, -1, Number.NaN]).domain).toEqual([1, 10]);
  });

  it("names the first and the last block", () => {
    expect(blockTicks(12)).toHaveLength(12);
    for (const blocks of [17, 22, 32, 48, 80, 126]) {
      const ticks = blockTicks(blocks);
      expect([ticks[0], ticks.at(-1)]).toEqual([1, blocks]);
      expect(ticks.length).toBeLessThanOrEqual(11);
    }
  });
});

describe("the status line", () => {
  const running: State = {
    ...initialState,
    gpu: { status: "ready", facts: null, error: null },
    job: {
      kind: "run",
      runId: "run-1",
      fraction: 0.254,
      where: "",
      startedAt: 0,
      now: 3000,
      expectedSeconds: null,
      cancelling: false,
      part: 1,
      parts: 1,
      live: false,
    },
    runs: [aRun({ quantizedBlocks: 3, blocks: [0, 1].map((index) => ({ index, delta: 1, relativeDelta: 1 })) })],
  };
  const ended = (outcome: State["outcome"]): State => ({ ...running, job: null, outcome });

  it("counts blocks from one and tells the time left", () => {
    expect(statusOf(running)).toMatchObject({ text: "Quantizing block 3 of 12 · 25 % · about 9 s left", tone: "busy" });
    expect(pageTitle(running)).toBe("25 % · about 9 s left · QEP Studio");
  });

  it("says what is prepared before the first step", () => {
    const at = (where: string) => statusOf({ ...running, job: { ...running.job!, fraction: 0, where, expectedSeconds: 60 } }).text;
    expect(at("")).toBe("Preparing · 0 % · about 57 s left");
    expect(at("rounding the embeddings, 12 %")).toBe("Preparing (rounding the embeddings, 12 %) · about 57 s left");
  });

  it("speaks at most every 10 %", () => {
    const before = { ...running, job: { ...running.job!, fraction: 0, where: "Tokenizing: 12,000 tokens" } };
    expect(statusOf(before).text).toBe("Tokenizing: 12,000 tokens");
    const at = (fraction: number) => statusOf({ ...running, job: { ...running.job!, fraction } }).spokenKey;
    expect(at(0.21)).toBe(at(0.299));
    expect(at(0.299)).not.toBe(at(0.301));
  });

  it("names the blocks that are only followed", () => {
    const run = { ...running.runs[0], quantizedBlocks: 2 };
    expect(statusOf({ ...running, runs: [run] }).text).toMatch(/^Following the error through block 3 of 12/);
  });

  it("ends with Done, or with the error's sentence", () => {
    expect(statusOf(ended({ kind: "ran", runId: "run-1", ms: 8200 }))).toMatchObject({
      text: "Done: GPTQ 4-bit act-order mse + QEP α 0.5 in 8.2 s.",
      tone: "done",
    });
    expect(statusOf(ended({ kind: "measured", runs: 1, ms: 900 })).text).toBe("Done: perplexity of 1 run in 0.9 s.");
    expect(statusOf(ended({ kind: "exported", name: "demo", files: 6, bytes: 1.5e6, zip: true })).text).toBe(
      "Done: 6 files, 1.5 MB, in demo.zip.",
    );
    const error = {
      code: "truncated",
      about: "checkpoint",
      where: "a",
      hint: "",
      message: "This file is shorter than its header says: a.",
    } as const;
    expect(statusOf(ended({ kind: "failed", error }))).toMatchObject({ text: error.message, tone: "bad" });
    expect(statusOf(ended({ kind: "cancelled", what: "run" })).text).toMatch(/^Cancelled/);
  });

  it("says that the GPU is gone, until something was exported without one", () => {
    const error = { code: "device-lost", about: "adapter", where: "", hint: "", message: "The GPU was lost." } as const;
    const dead = (outcome: State["outcome"]): State => ({ ...ended(outcome), gpu: { status: "dead", facts: null, error } });
    expect(statusOf(dead({ kind: "none" }))).toMatchObject({ text: error.message, tone: "bad" });
    expect(statusOf(dead({ kind: "exported", name: "demo", files: 6, bytes: 1.5e6, zip: true })).text).toMatch(/^Done: 6 files/);
  });

  it("says what is wrong with the recipe", () => {
    const error = { code: "group-size", about: "recipe", where: "", hint: "", message: "The group size does not fit." } as const;
    expect(statusOf({ ...ended({ kind: "none" }), plan: { pending: false, summary: null, error } }).text).toBe(error.message);
  });
});

describe("names of exports", () => {
  it("say what was done", () => {
    expect(exportName("TinyLlama 1.1B", plainRecipe)).toBe("TinyLlama-1.1B-rtn-4bit-qep-0.5");
    expect(exportName("m", { ...plainRecipe, type: "Q3_K_M", symmetric: true, format: "gguf" })).toBe("m-rtn-Q3_K_M-qep-0.5-gguf");
    expect(exportName("m", { ...plainRecipe, groupSize: 64, symmetric: true, blocks: 3, qep: { ...plainRecipe.qep, alpha: 0 } })).toBe(
      "m-rtn-4bit-g64-sym-first-3",
    );
  });

  it("are safe on every file system", () => {
    const name = exportName('../..<img src=x onerror="alert(1)">', plainRecipe);
    expect(name).toMatch(/^[\w][\w.-]*$/);
    expect(name).not.toContain("..-");
    expect(exportName("日本語", plainRecipe)).toBe("rtn-4bit-qep-0.5");
    expect(exportName("x".repeat(300), plainRecipe).length).toBeLessThanOrEqual(100);
  });
});

it("the plan tells what is kept in the browser, where anything is, and whose bits a weight has", () => {
  const plan: PlanSummary = {
    bytesIn: 2e6,
    bytesOut: 1e6,
    bitsPerWeight: 4,
    quantizedWeights: 1e6,
    tokens: 64,
    windows: 4,
    heldOutWindows: 0,
    peakGpuBytes: 1e6,
    peakHostBytes: 1e6,
    scratchBytes: 2e6,
    seconds: 5,
    streamKept: false,
    warnings: [],
    notes: [],
  };
  const model = { dtypes: ["BF16"], shape: null } as unknown as ModelSummary;
  const parts = (scratchBytes: number) => planParts({ ...plan, scratchBytes }, model, "dense");
  expect(parts(2e6)).toContain("keeps up to 2.0 MB in the browser");
  expect(parts(0).join()).not.toContain("in the browser");
  expect(parts(0)).toContain("4 bits per weight once packed");
  expect(planParts(plan, model, "gguf")).toContain("4 bits per weight");
});

it("where the selected run was cancelled, a finished one is to be selected; without one, a run is to be finished", () => {
  const cancelled = aRun({ id: "cancelled", status: "cancelled" });
  const done = aRun({ id: "done", status: "done", held: true });
  const said = (runs: State["runs"], selected: string | null) => exportText({ ...initialState, runs, selected });
  expect(said([done, cancelled], "cancelled")).toBe("Select a finished run.");
  expect(said([cancelled], "cancelled")).toBe("Finish a run first.");
  expect(said([], null)).toBe("Finish a run first.");
  expect(said([done, cancelled], "done")).toMatch(/^Exports the selected run 1: /);
});
