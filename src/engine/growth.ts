import { QuantError } from "../errors";
import { type Activation, using } from "../ops/activations";
import type { Ops, Tensor } from "../ops/ops";
import type { BlockReport } from "../results/report";

/** ‖a − b‖² and ‖a‖² over pairs of tensors, added up in float64. Waits for the device once. */
export async function squaredErrors(
  ops: Ops,
  partials: readonly (readonly Tensor[])[],
): Promise<{ difference: number; reference: number }[]> {
  const values = await ops.read(partials.flat());
  ops.free(...partials.flat());
  let next = 0;
  return partials.map((group) => {
    const sum = { difference: 0, reference: 0 };
    for (const _ of group) addPairs(sum, values[next++]);
    return sum;
  });
}

function addPairs(sum: { difference: number; reference: number }, pairs: ArrayLike<number>): void {
  for (let i = 0; i < pairs.length; i += 2) {
    sum.difference += pairs[i];
    sum.reference += pairs[i + 1];
  }
}

/**
 * Δ_m = ‖h_m − ĥ_m‖²_F over all chunks, and divided by ‖h_m‖²_F, behind the block of this index; −1: behind the embeddings.
 * @throws QuantError `non-finite-activations` naming the block: a run whose numbers overflowed must give neither a curve nor an export.
 */
export async function growth(
  ops: Ops,
  index: number,
  chunks: number,
  h: (c: number) => Activation,
  hq: (c: number) => Activation,
): Promise<BlockReport> {
  const partials: Tensor[] = [];
  for (let c = 0; c < chunks; c++)
    partials.push(await using(h(c), (exact) => using(hq(c), (quantized) => ops.squaredDifference(exact, quantized))));
  const [{ difference, reference }] = await squaredErrors(ops, [partials]);
  if (!Number.isFinite(difference))
    throw new QuantError(
      "non-finite-activations",
      index < 0 ? "behind the embeddings" : `after block ${index + 1}`,
      "Try more bits, or check the model with “Measure perplexity”.",
    );
  return { index, delta: difference, relativeDelta: reference > 0 ? difference / reference : 0 };
}
