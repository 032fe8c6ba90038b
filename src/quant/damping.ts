import type { Ops, Tensor } from "../ops/ops";

/** L Lᵀ = H + damp·mean(diag H)·I; L is null when that was positive definite for none of the fractions tried. */
export interface Factor {
  L: Tensor | null;
  /** Fractions tried, in order; the last one is L's. */
  tried: number[];
}

/** The authors' damping. */
const leastAuto = 0.01;

/**
 * The fraction for layers of n inputs, calibrated on so many tokens. "auto" (null) is n/T, but at least 0.01: with few tokens H is mostly
 * noise, which the solves would follow. (Measured: ARCHITECTURE.md, decision 18.)
 */
export const dampingFor = (wanted: number | null, n: number, tokens: number): number => wanted ?? Math.max(leastAuto, n / tokens);

const steps = 3;
/** What a recipe's damping of 0 becomes when the first attempt fails: ten times nothing would stay nothing. */
const leastStep = 1e-4;

/**
 * Factorises H + λI with this fraction of damping, and with ten times as much after each failure, at most three times. Every solve goes through
 * here. Waits for the device once per attempt.
 * @param copyOfH a new copy of H, mirrored [n, n] and undamped, in whatever order of the inputs. Called for each attempt, which uses it up.
 */
export async function factorDamped(ops: Ops, copyOfH: () => Tensor, fraction: number): Promise<Factor> {
  const tried: number[] = [];
  for (let step = 0, damp = fraction; step <= steps; step++, damp = Math.max(damp * 10, leastStep)) {
    tried.push(damp);
    const A = copyOfH();
    ops.damp(A, damp);
    const status = ops.cholesky(A);
    const [[bad]] = await ops.read([status]);
    ops.free(status);
    if (bad === 0) return { L: A, tried };
    ops.free(A);
  }
  return { L: null, tried };
}
