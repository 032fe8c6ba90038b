/** Made-up values, and whether what an adapter made of them is right: a timed call whose outcome is not looked at is no measurement. */
import { elements } from "../../src/ops/ops";

/** Uniform f32 values in (−1, 1), the same in every run (Marsaglia's xorshift: quick, and rows of any length are unlike each other). */
export function values(seed: number, shape: readonly number[]): Float32Array {
  const out = new Float32Array(elements(shape));
  let state = Math.imul(seed, 0x9e3779b1) | 1;
  for (let i = 0; i < out.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    out[i] = state / 2 ** 31;
  }
  return out;
}

/** How a sum of n terms is wrong, or null: it may be off by (n + 2) roundings of the sum of their sizes. */
export function differs(actual: number, n: number, term: (k: number) => number): string | null {
  let [sum, size] = [0, 0];
  for (let k = 0; k < n; k++) {
    const value = term(k);
    sum += value;
    size += Math.abs(value);
  }
  return Math.abs(actual - sum) <= (n + 2) * 2 ** -24 * size ? null : `is ${actual}, not ${sum}`;
}
