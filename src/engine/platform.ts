import type { Scratch } from "../io/scratch";
import type { Helper } from "../model/text-file";
import { type ActivationBudget, Activations } from "../ops/activations";
import type { Ops } from "../ops/ops";

/** What the page and the command line give the engine, each in its own way. */
export interface Platform {
  /** Opens the device, and a new one after it was lost. @throws QuantError `no-webgpu`. */
  openOps(): Promise<Ops>;
  /** What may take too long for a job, where it can be ended. */
  helperFor(signal: AbortSignal): Helper | undefined;
  /** The place of a run, for nobody else from now on. @throws QuantError `run-exists` where somebody has it. */
  claimRun(id: string): Promise<RunPlace>;
  /** Ids of the runs that are kept and that nobody has claimed. */
  keptRuns(): Promise<string[]>;
  /** For activations that find no room. Emptied when it is opened. */
  openSpill(): Promise<Scratch>;
  /** More than one run is made, so that the full-precision stream is worth keeping for the next. */
  readonly runsAgain: boolean;
  readonly budget?: ActivationBudget;
}

/** Where one run is kept. */
export interface RunPlace {
  readonly scratch: Scratch;
  /** Lets others have it; what is in it stays. */
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
