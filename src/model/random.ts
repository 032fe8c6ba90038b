/** Uniform 32-bit integers from a seed (Mulberry32). */
export function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  };
}

/** Standard normal deviates (Box-Muller) from uniform 32-bit integers, two for each, as the oracle (tests/fixtures/oracle) draws them. */
export function normals(next: () => number): () => number {
  const uniform = () => (next() + 0.5) / 2 ** 32;
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** A random permutation of 0 to n − 1 (Fisher-Yates), as the oracle draws it. */
export function permutation(n: number, next: () => number): number[] {
  const p = Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = next() % (i + 1);
    [p[i], p[j]] = [p[j], p[i]];
  }
  return p;
}

/** A Haar-distributed orthogonal matrix [n, n]: Q of a Gaussian matrix's QR decomposition with R's diagonal positive, by Gram-Schmidt done twice. */
export function haar(n: number, normal: () => number): Float64Array {
  const Q = Float64Array.from({ length: n * n }, normal);
  const dot = (i: number, j: number) => {
    let sum = 0;
    for (let r = 0; r < n; r++) sum += Q[r * n + i] * Q[r * n + j];
    return sum;
  };
  for (let j = 0; j < n; j++) {
    for (let pass = 0; pass < 2; pass++)
      for (let i = 0; i < j; i++) {
        const overlap = dot(i, j);
        for (let r = 0; r < n; r++) Q[r * n + j] -= overlap * Q[r * n + i];
      }
    const length = Math.sqrt(dot(j, j));
    for (let r = 0; r < n; r++) Q[r * n + j] /= length;
  }
  return Q;
}
