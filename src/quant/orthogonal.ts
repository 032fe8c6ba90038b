import { mulberry32 } from "../model/calibration";

/**
 * QuIP's random orthogonal matrix [n, n], as the oracle draws it: a Kronecker product of two Haar factors of about √n, between two permutations.
 * Row-major float64.
 */
export function randomOrthogonal(n: number, seed: number): Float64Array {
  const next = mulberry32(seed);
  const uniform = () => (next() + 0.5) / 2 ** 32;
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const permutation = () => {
    const p = Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = next() % (i + 1);
      [p[i], p[j]] = [p[j], p[i]];
    }
    return p;
  };
  const [a, b] = factors(n);
  const A = haar(a, normal);
  const B = haar(b, normal);
  const columns = inverse(permutation());
  const rows = permutation();
  const K = (i: number, j: number) => A[Math.floor(i / b) * a + Math.floor(j / b)] * B[(i % b) * b + (j % b)];
  return Float64Array.from({ length: n * n }, (_, at) => K(rows[Math.floor(at / n)], columns[at % n]));
}

/** n as a product of two near-equal factors: every other one of its sorted primes. */
function factors(n: number): [number, number] {
  const primes: number[] = [];
  for (let rest = n, p = 2; rest > 1; p++)
    while (rest % p === 0) {
      primes.push(p);
      rest /= p;
    }
  const product = (parity: number) => primes.filter((_, i) => i % 2 === parity).reduce((x, p) => x * p, 1);
  return [product(0), product(1)];
}

function inverse(p: readonly number[]): number[] {
  const q = new Array<number>(p.length);
  for (const [i, x] of p.entries()) q[x] = i;
  return q;
}

/** A Haar-distributed orthogonal matrix: the Q of a Gaussian matrix's QR with positive diagonal R, by Gram-Schmidt done twice. */
function haar(n: number, normal: () => number): Float64Array {
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

/** Aᵀ of a square matrix. */
export function transposed(A: Float64Array, n: number): Float64Array {
  return A.map((_, at) => A[(at % n) * n + Math.floor(at / n)]);
}
