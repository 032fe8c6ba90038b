/** What the state of `divergenceUpdate` says once all of the vocabulary has been seen. */

/** Columns of the state; ops.ts says what they hold. */
export const divergenceColumns = 11;

/** Two models' predictions of one token: p the first's, q the second's. */
export interface TokenDivergence {
  /** Negative log-likelihoods of the target, in nats. */
  before: number;
  after: number;
  /** KL(p‖q) in nats. */
  kl: number;
  /** Both find the same token likeliest; of equally likely ones the first counts. */
  sameTop: boolean;
}

/** @param row one row of the state, read from the device. */
export function readDivergence(row: ArrayLike<number>): TokenDivergence {
  const [a, xa, ya, b, yb, P, Q, D, G, x, y] = Array.from(row);
  const reference = Math.max(ya, yb - 40);
  // Q/P − 1.
  const growth = (G + D) / P;
  const ratio = Math.abs(growth) <= 0.5 ? Math.log1p(growth) : Math.log(Q / P);
  return {
    before: xa + Math.log(P) - x,
    after: reference + Math.log(Q) - y,
    // Never negative, but for rounding.
    kl: Math.max(0, ratio - D / P),
    sameTop: a === b,
  };
}
