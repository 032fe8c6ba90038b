import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { compareWithPartner } from "../../src/store/compare";
import { updateMs } from "../../src/store/inbox";
import { canFollow } from "../../src/store/live";
import { missingPartner, nextStep, selectedRun } from "../../src/store/next";
import { pass, until } from "../support/real-client";
import { checkpointFiles, given, made, opened, packedFiles } from "./opened";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A run that stands still after its second block. */
async function running() {
  const page = await opened();
  page.client.holdAfter((e) => e.type === "block" && e.block.index === 1);
  const done = page.studio.run();
  await until(() => page.client.held);
  return { ...page, done };
}

describe("opening", () => {
  it("starts from what suits the demo", async () => {
    const { studio, state, settled } = made();
    await studio.start();
    await studio.openDemo();
    expect(state().outcome).toEqual({ kind: "opened", label: "QEP demo" });
    expect(state().model.summary).toMatchObject({ label: "QEP demo", blocks: 4, files: 2 });
    expect(state().recipe).toMatchObject({ bits: 3, blocks: null, calibration: { windows: 16, windowLength: 128 } });
    await settled();
    expect(state().plan.summary?.tokens).toBe(2048);
  });

  it("starts from more for a person's own model, and never beyond its positions", async () => {
    const { studio, state } = made();
    await studio.start();
    await studio.openFiles(given(checkpointFiles(), "mine"));
    expect(state().recipe).toMatchObject({ bits: 4, calibration: { windows: 32, windowLength: 256 } });
    await studio.openFiles(given(checkpointFiles({ max_position_embeddings: 64 }), "mine"));
    expect(state().recipe.calibration.windowLength).toBe(64);
  });

  it("leaves the bits that the person chose", async () => {
    const { studio, state } = made();
    await studio.start();
    studio.editRecipe({ bits: 2 });
    await studio.openDemo();
    expect(state().recipe.bits).toBe(2);
  });

  it("leaves the bits of a place to run it, which the person chose", async () => {
    const { studio, state } = made();
    await studio.start();
    studio.chooseDestination("llama.cpp");
    const { bits, type } = state().recipe;
    await studio.openDemo();
    expect(state().recipe).toMatchObject({ bits, type });
  });

  it("keeps the open model and its runs when another one cannot be opened", async () => {
    const { studio, state } = await opened();
    await studio.run();
    const cutOff = checkpointFiles().map((file) =>
      file.name.endsWith(".safetensors") ? new File([file.slice(0, 9000)], file.name) : file,
    );
    await studio.openFiles(given(cutOff, "broken"));
    const { model, runs, outcome } = state();
    expect(model.summary?.label).toBe("QEP demo");
    expect(model.error?.code).toBe("truncated");
    expect(runs).toHaveLength(1);
    expect(outcome).toMatchObject({ kind: "failed", error: { code: "truncated" } });
    await studio.measure();
    expect(state().outcome).toMatchObject({ kind: "measured", runs: 1 });
  });

  it("puts the runs of the model before out of sight, and offers those again that were not exported", async () => {
    const { studio, state, settled } = await opened();
    await studio.run();
    await studio.openDemo();
    expect(state().runs).toEqual([]);
    await settled();
    await until(() => state().interrupted.length > 0);
    const [{ id, done, blocks }] = state().interrupted;
    expect(done).toBe(blocks);
    await studio.resume(id);
    expect(state().runs).toMatchObject([{ id, status: "done", held: true, text: { kind: "demo" } }]);
    expect(state().runs[0].layers.length).toBeGreaterThan(0);
    expect(state().interrupted).toEqual([]);
  });
});

describe("the plan", () => {
  it("is asked once for many edits", async () => {
    const { studio, state, asked, settled } = await opened();
    const before = asked("plan");
    for (let alpha = 0; alpha < 10; alpha++) studio.editRecipe({ qep: { alpha: alpha / 10 } });
    expect(state().plan.pending).toBe(true);
    await settled();
    expect(asked("plan") - before).toBe(1);
  });

  it("says what does not fit, and recovers", async () => {
    const { studio, state, settled } = await opened();
    studio.editRecipe({ groupSize: 128 });
    await settled();
    expect(state().plan).toMatchObject({ summary: null, error: { code: "group-size" } });
    expect(nextStep(state())).toBe("mend-recipe");
    studio.editRecipe({ groupSize: 32 });
    await settled();
    expect(state().plan.error).toBeNull();
    expect(nextStep(state())).toBe("run");
  });

  it("is no plan while the rules cannot be read, and α starts no run then", async () => {
    const { studio, state, settled } = await opened();
    await studio.run();
    expect(canFollow(state())).toBe(true);
    studio.faultRules("“down_proj bits=2” is not of the form");
    expect(canFollow(state())).toBe(false);
    await settled();
    expect(state().plan).toMatchObject({ summary: null, error: { code: "bad-rule", message: expect.stringContaining("bits=2” is not") } });
    studio.faultRules(null);
    await settled();
    expect(state().plan.error).toBeNull();
  });

  it("ignores an answer that came too late", async () => {
    const { studio, state, asked, settled } = await opened();
    const before = asked("plan");
    const errors: unknown[] = [];
    studio.store.subscribe(({ plan }) => plan.error && errors.push(plan.error));
    studio.editRecipe({ groupSize: 128 });
    // Under way: the edit comes before its answer.
    await until(() => asked("plan") > before);
    studio.editRecipe({ groupSize: 32 });
    await settled();
    expect(asked("plan") - before).toBe(2);
    expect(errors).toEqual([]);
    expect(state().plan.summary).not.toBeNull();
  });

  it("asks for a text before it asks the worker", async () => {
    const { studio, state, settled } = await opened();
    studio.chooseCalibration({ kind: "pasted", pasted: "  " });
    await settled();
    expect(state().plan.error?.code).toBe("text-too-short");
    studio.chooseCalibration({ kind: "file" });
    await settled();
    expect(state().plan.error?.code).toBe("missing-file");
  });
});

describe("a run", () => {
  it("fills block by block with what the engine reports, at most five times a second", async () => {
    const { client, studio, state } = await opened();
    const sizes: number[] = [];
    let updates = 0;
    studio.store.subscribe((now, old) => {
      if (now.runs === old.runs) return;
      updates++;
      sizes.push(now.runs[0]?.blocks.length ?? 0);
    });
    const started = Date.now();
    const done = studio.run();
    // A twentieth of a second for every layer.
    while (state().job) {
      client.holdAfter((e) => e.type === "layer");
      await until(() => client.held || state().job === null);
      await pass(50);
      client.release();
    }
    await done;
    const seconds = (Date.now() - started) / 1000;
    expect(seconds).toBeGreaterThan(28 / 20);
    expect(updates).toBeLessThanOrEqual(seconds * (1000 / updateMs) + 5);
    expect([...new Set(sizes)]).toEqual([0, 1, 2, 3, 4]);
    expect(sizes).toEqual([...sizes].sort((a, b) => a - b));
    const [run] = state().runs;
    expect(run.status).toBe("done");
    expect(client.events.at(-1)).toEqual({ type: "end", outcome: "done" });
    expect(run.blocks).toEqual(client.reports[0].blocks);
    expect(run.layers).toEqual(client.reports[0].layers);
    expect(run.layers).toHaveLength(28);
    expect(state().outcome).toMatchObject({ kind: "ran", runId: run.id });
  });

  it("has progress that never falls", async () => {
    const { studio } = await opened();
    const fractions: number[] = [];
    studio.store.subscribe((now) => now.job && fractions.push(now.job.fraction));
    await studio.run();
    expect(fractions).toEqual([...fractions].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBe(1);
  });

  it("stops when cancelled, and keeps the blocks done", async () => {
    const { client, studio, state, done } = await running();
    studio.cancel();
    expect(state().job?.cancelling).toBe(true);
    await done;
    const [run] = state().runs;
    expect(run.status).toBe("cancelled");
    expect(run.blocks.map((b) => b.index)).toEqual([0, 1]);
    expect(client.events.at(-1)).toEqual({ type: "end", outcome: "cancelled" });
    expect(state()).toMatchObject({ job: null, outcome: { kind: "cancelled", what: "run" } });
    await studio.run();
    expect(state().runs[1].status).toBe("done");
  });

  it("cancelled before its turn never reaches the worker", async () => {
    const { studio, state, asked } = await opened();
    const before = asked("plan");
    studio.editRecipe({ bits: 2 });
    await until(() => asked("plan") > before); // the plan is being asked
    const done = studio.run();
    studio.cancel();
    await done;
    expect(state().runs[0].status).toBe("cancelled");
    expect(asked("run")).toBe(0);
  });

  it("that fails keeps its curve and says why", async () => {
    const { client, studio, state } = await opened();
    client.failAfter((e) => e.type === "block" && e.block.index === 2, new QuantError("gpu-out-of-memory", "in block 4"));
    await studio.run();
    const [run] = state().runs;
    expect(run).toMatchObject({ status: "failed", error: { code: "gpu-out-of-memory" } });
    expect(run.blocks).toHaveLength(3);
    expect(client.events.at(-1)).toEqual({ type: "end", outcome: "failed" });
    expect(state().outcome).toMatchObject({ kind: "failed", error: { code: "gpu-out-of-memory" } });
  });

  it("is one at a time", async () => {
    const { client, studio, state, done } = await running();
    await studio.run();
    expect(state().runs).toHaveLength(1);
    client.release();
    await done;
  });
});

describe("a pair", () => {
  it("is a QEP run and its base, the selection staying with QEP", async () => {
    const { client, studio, state } = await opened();
    await studio.run();
    expect(missingPartner(state())).toBe("base");
    studio.editRecipe({ bits: 8 }); // the panel has moved on; the partner is the run's
    await studio.addPartner("base");
    const { runs, selected } = state();
    expect(runs[1].recipe).toMatchObject({ bits: 3, qep: { alpha: 0 } });
    expect(selected).toBe(runs[0].id);
    expect(missingPartner(state())).toBeNull();
    const { calibration, evaluations } = compareWithPartner(runs, selectedRun(state()))!;
    const [qep, base] = client.reports.map((report) => report.blocks.at(-1)!.delta);
    expect(calibration).toMatchObject({ base, qep, below: true });
    expect(calibration.change).toBeCloseTo(qep / base - 1, 12);
    expect(evaluations).toEqual([]);
  });

  it("can start from the base", async () => {
    const { studio, state } = await opened();
    studio.editRecipe({ qep: { alpha: 0 } });
    await studio.run();
    expect(missingPartner(state())).toBe("qep");
    await studio.addPartner("base"); // does not apply
    expect(state().runs).toHaveLength(1);
    await studio.addPartner("qep");
    const { runs, selected } = state();
    expect(runs[1].recipe.qep.alpha).toBe(0.5);
    expect(selected).toBe(runs[1].id);
  });

  it("compares on the evaluation text once both are measured", async () => {
    const { studio, state, asked } = await opened();
    await studio.run();
    await studio.addPartner("base");
    await studio.measure();
    expect(asked("measure")).toBe(2);
    expect(state().outcome).toMatchObject({ kind: "measured", runs: 2 });
    const [evaluation] = compareWithPartner(state().runs, selectedRun(state()))!.evaluations;
    expect(evaluation.text).toMatchObject({ label: "demo evaluation text", windows: 4, windowLength: 16 });
    const [qep, base] = state().runs.map((run) => run.measured[0].evaluation.perplexity);
    expect(evaluation.perplexity).toMatchObject({ base, qep });
    await studio.measure(); // nothing left to measure
    expect(asked("measure")).toBe(2);
    studio.editEvaluation({ windows: 2 });
    await studio.measure();
    expect(asked("measure")).toBe(4);
  });
});

describe("a checkpoint that is quantized already", () => {
  it("is measured, not run", async () => {
    const { studio, state, asked } = made();
    await studio.start();
    await studio.openFiles(given(await packedFiles(), "packed"));
    studio.editRecipe({ calibration: { windowLength: 16 } });
    expect(state().model.summary?.packing).toContain("GPTQ 4-bit");
    expect(nextStep(state())).toBe("measure");
    expect(state().plan).toEqual({ pending: false, summary: null, error: null });
    await studio.run();
    expect(asked("run")).toBe(0);
    await studio.measure();
    expect(state().model.measured).toMatchObject([{ textLabel: "demo evaluation text", result: { tokens: 512, windows: 32 } }]);
    expect(state().outcome).toMatchObject({ kind: "measured", runs: 0 });
    expect(state().log.at(-1)?.message).toMatch(
      /^Perplexity of the checkpoint on demo evaluation text, 512 tokens in windows of 16: [\d.]+\.$/,
    );
    expect(nextStep(state())).toBe("nothing");
  });

  it("is compared with its original, and not with half of it", async () => {
    const { studio, state, client } = made();
    await studio.start();
    await studio.openFiles(given(await packedFiles(), "packed"));
    studio.editRecipe({ calibration: { windowLength: 16 } });
    await studio.measureAgainst(given(checkpointFiles(), "the original"));
    const [{ original, textLabel, result }] = state().model.compared;
    expect([original, textLabel]).toEqual(["the original", "demo evaluation text"]);
    expect(result.blocks).toHaveLength(state().model.summary!.blocks);
    for (const { delta } of result.blocks!) expect(delta).toBeGreaterThan(0);
    expect(result.divergence.kl.mean).toBeGreaterThan(0);
    expect(state().outcome).toMatchObject({ kind: "compared", original: "the original" });
    await studio.measureAgainst(given(checkpointFiles().slice(0, 1), "a part"));
    expect(state().outcome).toMatchObject({ kind: "failed" });
    expect(state().model.compared).toHaveLength(1);
    expect(client.calls.filter((call) => call === "measureAgainst")).toHaveLength(2);
  });
});

describe("the next step", () => {
  it("is always one", async () => {
    const { studio, state, settled } = made();
    expect(nextStep(state())).toBe("wait");
    await studio.start();
    expect(nextStep(state())).toBe("open");
    await studio.openDemo();
    studio.editRecipe({ calibration: { windows: 4, windowLength: 16 } });
    await settled();
    expect(nextStep(state())).toBe("run");
    const done = studio.run();
    expect(nextStep(state())).toBe("wait");
    await done;
    expect(nextStep(state())).toBe("baseline");
    await studio.addPartner("base");
    expect(nextStep(state())).toBe("measure");
    await studio.measure();
    expect(nextStep(state())).toBe("export");
    const written = await studio.exportRun({ kind: "zip", name: "demo" });
    expect(written?.files.sort()).toEqual([
      "README.md",
      "certificate.json",
      "config.json",
      "model.safetensors",
      "recipe.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(written?.zip?.file.size).toBeGreaterThan(written!.bytes);
    expect(state().outcome).toMatchObject({ kind: "exported", name: "demo", files: 7, zip: true });
    expect(nextStep(state())).toBe("nothing");
  });
});
