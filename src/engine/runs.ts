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

/** What to do when a run's place already holds one: `new` refuses, `resume` continues it, `replace` discards it. */
export type Beginning = "new" | "resume" | "replace";

/** The runs of the open checkpoint, each in its place. */
export class Runs {
  private readonly runs = new Map<string, KeptRun>();

  constructor(private readonly platform: Platform) {}

  /** @throws QuantError `internal` for a run that does not exist or has not finished. */
  finished(id: string): KeptRun & { report: RunReport } {
    const run = this.runs.get(id);
    if (!run?.report) throw new QuantError("internal", "this run is not there any more", "Run it again.");
    return { ...run, report: run.report };
  }

  get(id: string): KeptRun | null {
    return this.runs.get(id) ?? null;
  }

  /**
   * Claims a run's place and opens its store, at its last commit where it is resumed.
   * @param isPassing it need not be resumable, so it is kept in memory.
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
    const place = isPassing ? inMemory() : await this.platform.claimRun(id);
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
    const kept = await RunStore.open(scratch);
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
    const store = await RunStore.open(place.scratch);
    if (store) return { store, place };
    await place.release();
    return null;
  }

  /** Runs of this checkpoint that are kept but were not opened here. */
  async interrupted(checkpoint: Checkpoint): Promise<InterruptedRun[]> {
    const digest = await modelDigest(checkpoint);
    const found: InterruptedRun[] = [];
    for (const id of await this.platform.keptRuns()) {
      if (this.runs.has(id)) continue;
      const kept = await this.peek(id).catch(() => null);
      if (!kept) continue;
      const { identity, committed } = kept.store;
      // Its tab is closed and its files were saved: nothing is left to resume.
      const isExported = await kept.store.isExported();
      if (isExported) await kept.store.discard();
      await kept.place.release();
      if (!isExported && identity.model.digest === digest && committed > 0)
        found.push({ id, recipe: identity.recipe, text: identity.text, done: committed, blocks: identity.blocks });
    }
    return found;
  }

  /** Releases a run; with `discard` its blocks are deleted too. */
  async forget(id: string, { discard }: { discard: boolean }): Promise<void> {
    const run = this.runs.get(id);
    this.runs.delete(id);
    if (discard) await (run ?? (await this.peek(id).catch(() => null)))?.store.discard();
    await run?.place.release();
  }

  /** Releases all runs, because another checkpoint is opened. Committed blocks stay on disk. */
  async close(): Promise<void> {
    for (const id of [...this.runs.keys()]) await this.forget(id, { discard: false });
  }
}

const inMemory = (): RunPlace => ({ scratch: memoryScratch(), release: async () => {} });
