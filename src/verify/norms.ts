/** The norms before linear layers: AWQ divides a norm by what it multiplies the inputs of the layers after it by. */
import { normNames } from "../model/layers";

/** Reads a whole tensor of the file by its name in the original; null where it has none. */
export type ReadVector = (name: string) => Promise<Float32Array | null>;

export interface Fold {
  /** The original's name of the norm. */
  readonly norm: string;
  /** What the file has of it over the original's, per input of the layer. */
  readonly factor: Float32Array;
}

/** The original's name of the norm before a layer; null where another layer is before it. */
export function normBefore(layer: string): string | null {
  const [, block, kind] = /\.layers\.(\d+)\..*\.(\w+)$/.exec(layer) ?? [];
  if (kind === undefined || /^(o|down)_proj$/.test(kind)) return null;
  const names = normNames(Number(block));
  return /^(gate|up)_proj$/.test(kind) ? names.postAttention : names.input;
}

/** Null where the two are the same but for rounding to 16 bits. */
export function factorOf(now: Float32Array, before: Float32Array): Float32Array | null {
  if (now.length !== before.length) return null;
  const factor = Float32Array.from(now, (x, i) => (before[i] === 0 || !Number.isFinite(x / before[i]) ? 1 : x / before[i]));
  return factor.some((f) => Math.abs(f - 1) > 2 ** -7) ? factor : null;
}

interface Trial {
  /** Sums of squared relative errors of the layers after it: as they are, and multiplied by the factor. */
  asIs: number;
  multiplied: number;
  /** By how much a factor that was not divided out of a layer would raise its squared error. */
  drift: number;
}

/** Tells which norms were changed without the layers after them. */
export class NormTrials {
  private readonly trials = new Map<string, Trial>();

  add({ norm, factor }: Fold, asIs: number, multiplied: number): void {
    const trial = this.trials.get(norm) ?? { asIs: 0, multiplied: 0, drift: 0 };
    trial.asIs += asIs ** 2;
    trial.multiplied += multiplied ** 2;
    trial.drift += factor.reduce((sum, f) => sum + (f - 1) ** 2, 0) / factor.length;
    this.trials.set(norm, trial);
  }

  /** Where a fold is the reason, the factor brings the layers nearer by about the drift; where it is not, it takes them so far away. */
  get unexplained(): ReadonlySet<string> {
    const changed = [...this.trials].filter(([, { asIs, multiplied, drift }]) => !(multiplied - asIs < drift / 4));
    return new Set(changed.map(([norm]) => norm));
  }
}
