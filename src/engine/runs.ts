import { QuantError } from "../errors";
import type { NamedEvaluation } from "../export/card";
import { memoryScratch } from "../io/scratch";
import type { Calibration } from "../model/calibration";
import type { Checkpoint } from "../model/checkpoint";
import type { RunPlan } from "../quant/layer-plan";
import type { InterruptedRun } from "../results/interrupted";
import type { RunReport } from "../results/report";
import { identityOf, modelDigest, type RunIdentity } from "./identity";
import type { Platform, RunPlace } from "./platform";
import { keptBytes } from "./room";
import { RunStore } from "./run-store";

/** A run with its model: the opened checkpoint, or its rotated form. */
export interface KeptRun {
  readonly model: Checkpoint;
  readonly plan: RunPlan;
  readonly store: RunStore;
  readonly place: RunPlace;
  /** Null until the run has finished. */
  report: RunReport | null;
  /** Keyed by the windows measured on: a second text adds an entry. */
  readonly evaluations: Map<string, NamedEvaluation>;
}

/** What to do when a run's place already holds a run: `new` refuses to start, `resume` continues that run, `replace` discards it. */
export type Beginning = "new" | "resume" | "replace";

/** The runs of the open checkpoint, each in its place. */
export class Runs {
  private readonly runs = new Map<string, KeptRun>();

  constructor(private readonly platform: Platform) {}

  /** @throws QuantError `internal` for a run that does not exist or has not finished. */
  finished(id: string): KeptRun & { report: RunReport } {
    const run = this.runs.get(id);
    if (!run?.report) throw new QuantError("internal", "this run no longer exists", "Run it again.");
    return { ...run, report: run.report };
  }

  get(id: string): KeptRun | null {
    return this.runs.get(id) ?? null;
  }

  /**
   * Claims a run's place and opens its store, at its last commit where it is resumed.
   * @param isPassing it need not be resumable, so it is kept in memory where it is small.
   * @throws QuantError `run-exists`, `other-run`.
   */
  async begin(
    id: string,
    model: Checkpoint,
    plan: RunPlan,
    text: { label: string; calibration: Calibration } | null,
    { beginning, isPassing }: { beginning: Beginning; isPassing: boolean },
  ): Promise<KeptRun> {
    const identity = await identityOf(model, plan.recipe, plan.blocks, text);
    await this.forget(id, { discard: false });
    const isSmall = keptBytes({ model, plan, calibration: text?.calibration ?? null }) <= passingBytes;
    const place = isPassing && isSmall ? inMemory() : await this.platform.claimRun(id);
    try {
      const store = await this.storeIn(place, identity, text?.calibration ?? null, beginning);
      const run: KeptRun = { model, plan, store, place, report: null, evaluations: new Map() };
      this.runs.set(id, run);
      return run;
    } catch (e) {
      await place.release();
      throw e;
    }
  }

  private async storeIn(
    { scratch }: RunPlace,
    identity: RunIdentity,
    calibration: Calibration | null,
    beginning: Beginning,
  ): Promise<RunStore> {
    const kept = beginning === "replace" ? null : await RunStore.open(scratch);
    if (kept && beginning === "resume") {
      kept.requireSame(identity);
      return kept;
    }
    if (kept?.committed && beginning === "new")
      throw new QuantError(
        "run-exists",
        `${kept.committed} of its ${kept.identity.blocks} blocks are done`,
        "Go on with it (--resume), or discard it and start again (--force).",
      );
    return RunStore.create(scratch, identity, calibration);
  }

  /** A kept run's store, to read what it was asked to do. The caller releases the place, or begins it. */
  async peek(id: string): Promise<{ store: RunStore; place: RunPlace } | null> {
    const place = await this.platform.claimRun(id);
    try {
      const store = await RunStore.open(place.scratch);
      if (store) return { store, place };
    } catch (e) {
      await place.release();
      throw e;
    }
    await place.release();
    return null;
  }

  /** Runs of this checkpoint that are kept but were not opened here. */
  async interrupted(checkpoint: Checkpoint): Promise<InterruptedRun[]> {
    const digest = await modelDigest(checkpoint);
    const found: InterruptedRun[] = [];
    for (const id of await this.platform.keptRuns()) {
      if (this.runs.has(id)) continue;
      const run = await this.lookAt(id, digest);
      if (run) found.push(run);
    }
    return found;
  }

  /** A kept run, if it is of this checkpoint and can be resumed: not while another tab has it, nor if it cannot be read. */
  private async lookAt(id: string, modelDigest: string): Promise<InterruptedRun | null> {
    const place = await this.platform.claimRun(id).catch(() => null);
    if (!place) return null;
    try {
      const kept = await RunStore.glance(place.scratch).catch(() => null);
      // Its files were saved, and the tab that held it is closed: nothing is left to resume.
      if (kept?.isExported) await place.scratch.clear();
      if (!kept?.committed || kept.isExported || kept.identity.model.digest !== modelDigest) return null;
      const { recipe, text, blocks } = kept.identity;
      return { id, recipe, text, done: kept.committed, blocks };
    } finally {
      await place.release();
    }
  }

  /** Releases a run; with `discard` its blocks are deleted too. */
  async forget(id: string, { discard }: { discard: boolean }): Promise<void> {
    const run = this.runs.get(id);
    this.runs.delete(id);
    const place = run?.place ?? (discard ? await this.platform.claimRun(id).catch(() => null) : null);
    if (discard) await place?.scratch.clear();
    await place?.release();
  }

  /** Releases all runs, because another checkpoint is opened. Committed blocks stay on disk. */
  async close(): Promise<void> {
    for (const id of [...this.runs.keys()]) await this.forget(id, { discard: false });
  }
}

/** Most that a passing run may take in memory. */
const passingBytes = 64 * 2 ** 20;

const inMemory = (): RunPlace => ({ scratch: memoryScratch(), release: async () => {} });
