import type { StartHasher } from "../io/hasher";
import type { Scratch } from "../io/scratch";
import type { Helper } from "../model/text-file";
import { type ActivationBudget, Activations } from "../ops/activations";
import type { Ops } from "../ops/ops";

/** What the page and the command line give the engine, each in its own way. */
export interface Platform {
  /** Opens the device, and a new one after it was lost. @throws QuantError `no-webgpu`. */
  openOps(): Promise<Ops>;
  /** Runs work that may take too long in a thread that can be ended. */
  helperFor(signal: AbortSignal): Helper | undefined;
  /** Starts a SHA-256 of bytes that come piece by piece. */
  readonly startHasher: StartHasher;
  /** Claims the place where a run is kept. @throws QuantError `run-exists` while another process or tab has it. */
  claimRun(id: string): Promise<RunPlace>;
  /** Ids of the runs that are kept and that nobody has claimed. */
  keptRuns(): Promise<string[]>;
  /** False where there are no files to keep runs in: they are in memory then, and no zip can be written. */
  canKeep(): Promise<boolean>;
  /** Scratch for activations that do not fit in memory. Emptied when it is opened. */
  openSpill(): Promise<Scratch>;
  /** Bytes that can still be written where runs are kept; null where that is not known. */
  freeBytes(): Promise<number | null>;
  /** Where an export is written while the run is still there: to another place, to the same disk, or to a zip in the browser's storage, beside the run. */
  readonly exportsTo: "elsewhere" | "same disk" | "zip";
  /** Whether several runs are likely, so that the full-precision stream is worth keeping for the next one. */
  readonly runsAgain: boolean;
  readonly budget?: ActivationBudget;
}

/** Where one run is kept. */
export interface RunPlace {
  readonly scratch: Scratch;
  /** Releases the claim; the contents stay. */
  release(): Promise<void>;
}

/** The device with the activations that are on it: both go when it is lost. */
export class Device {
  private constructor(
    readonly ops: Ops,
    readonly activations: Activations,
  ) {}

  static async open(platform: Platform): Promise<Device> {
    const ops = await platform.openOps();
    return new Device(ops, new Activations(ops, spillOnce(platform), platform.budget));
  }
}

function spillOnce(platform: Platform): () => Promise<Scratch> {
  let opened: Promise<Scratch> | null = null;
  return () => {
    opened ??= platform.openSpill();
    return opened;
  };
}
