import { haar, mulberry32, normals, permutation } from "../model/random";

/**
 * QuIP's random orthogonal matrix [n, n], as the oracle draws it: a Kronecker product of two Haar factors of about √n, between two permutations.
 * Row-major float64.
 */
export function randomOrthogonal(n: number, seed: number): Float64Array {
  const next = mulberry32(seed);
  const normal = normals(next);
  const [a, b] = factors(n);
  const A = haar(a, normal);
  const B = haar(b, normal);
  const columns = inverse(permutation(n, next));
  const rows = permutation(n, next);
  const K = (i: number, j: number) => A[Math.floor(i / b) * a + Math.floor(j / b)] * B[(i % b) * b + (j % b)];
  return Float64Array.from({ length: n * n }, (_, at) => K(rows[Math.floor(at / n)], columns[at % n]));
}

/** n as a product of two factors, near √n for most sizes: of its prime factors in order, every other one goes to the first. */
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

/** Aᵀ of a square matrix. */
export function transposed(A: Float64Array, n: number): Float64Array {
  return A.map((_, at) => A[(at % n) * n + Math.floor(at / n)]);
}
