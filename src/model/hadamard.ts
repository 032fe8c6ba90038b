import { haar, mulberry32, normals } from "./random";

/** An orthogonal matrix Q [n, n] that is applied without being formed. */
export interface Orthogonal {
  /** x ← x·Q for every vector along the middle axis of data [outer, n, inner], in place. */
  apply(data: Float64Array, outer: number, inner: number): void;
}

/**
 * A randomised Hadamard matrix (QuaRot): random signs, then H_{2^k}/√2^k ⊗ M, where n = 2^k·odd and M [odd, odd] is a Haar matrix. Applying it takes about
 * n·(k + odd) operations per vector.
 */
export function randomHadamard(n: number, seed: number): Orthogonal {
  const next = mulberry32(seed);
  const signs = Float64Array.from({ length: n }, () => (next() & 1 ? 1 : -1));
  let even = 1;
  while ((n / even) % 2 === 0) even *= 2;
  const odd = n / even;
  const M = odd > 1 ? haar(odd, normals(next)) : null;
  return {
    apply(data, outer, inner) {
      for (let o = 0; o < outer; o++) {
        const part = data.subarray(o * n * inner, (o + 1) * n * inner);
        for (let i = 0; i < n; i++) if (signs[i] < 0) for (let k = 0; k < inner; k++) part[i * inner + k] *= -1;
        if (even > 1) walshHadamard(part, even, odd * inner);
        if (M) for (let e = 0; e < even; e++) mix(part.subarray(e * odd * inner, (e + 1) * odd * inner), M, odd, inner);
      }
    },
  };
}

/** The transform of size n over the first axis of [n, inner], normalised. n is a power of two. */
function walshHadamard(data: Float64Array, n: number, inner: number): void {
  for (let half = 1; half < n; half *= 2)
    for (let from = 0; from < n; from += 2 * half)
      for (let at = from * inner; at < (from + half) * inner; at++) {
        const a = data[at];
        const b = data[at + half * inner];
        data[at] = a + b;
        data[at + half * inner] = a - b;
      }
  const scale = 1 / Math.sqrt(n);
  for (let i = 0; i < data.length; i++) data[i] *= scale;
}

/** x·M over the first axis of [n, inner]. */
function mix(data: Float64Array, M: Float64Array, n: number, inner: number): void {
  const before = data.slice();
  data.fill(0);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      const m = M[i * n + j];
      for (let k = 0; k < inner; k++) data[j * inner + k] += before[i * inner + k] * m;
    }
}
