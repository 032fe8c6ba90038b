import type { Ops, Tensor } from "../ops/ops";

/** Partial sums [p, 2] of (A·S)·B and B². */
export function productsWith(ops: Ops, A: Tensor, S: Tensor, B: Tensor): Tensor {
  const product = ops.matmul(A, S);
  const sums = ops.innerProducts(product, B);
  ops.free(product);
  return sums;
}

/** Partial sums [p, 2], added up. */
export function pairSums(pairs: ArrayLike<number>): [number, number] {
  const sums: [number, number] = [0, 0];
  for (let i = 0; i < pairs.length; i++) sums[i % 2] += pairs[i];
  return sums;
}
