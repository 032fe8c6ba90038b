import { QuantError } from "../errors";
import type { Activations } from "../ops/activations";
import { divergenceColumns, readDivergence, type TokenDivergence } from "../ops/divergence";
import type { Tensor } from "../ops/ops";
import { eachLogits, type LastStates } from "./logits";

/** Bytes on the device of what is summed up for so many tokens, for a model by itself or two side by side. */
export const lossBytes = (tokens: number, models: number): number => 4 * tokens * (1 + (models > 1 ? divergenceColumns : 3));

/** The ids of a chunk of windows. */
export interface Ids {
  ids: Int32Array;
  /** Tokens of a window. */
  length: number;
}

interface LossesInput {
  activations: Activations;
  /** As many chunks as the models' states have. */
  chunks: readonly Ids[];
  signal?: AbortSignal;
  /** As in `eachLogits`. */
  bytes?: number;
  onShare?: (share: number) => void;
}

/**
 * Negative log-likelihood (in nats) of the id that follows each position, one array per chunk; NaN at the last position of a window.
 * @throws QuantError `non-finite-activations`.
 */
export async function tokenLosses({ activations, chunks, ...rest }: LossesInput, states: LastStates): Promise<Float64Array[]> {
  const { ops } = activations;
  const running = chunks.map(({ ids }) => ops.crossEntropyStart(ids.length));
  const targets = targetsOf(activations, chunks);
  await eachLogits({ activations, models: [states], ...rest }, ([logits], chunk, offset) =>
    ops.crossEntropyUpdate(running[chunk], logits, targets[chunk], offset),
  );
  const values = await ops.read(running);
  ops.free(...running, ...targets);
  return values.map((rows, c) =>
    Float64Array.from({ length: chunks[c].ids.length }, (_, t) => {
      if (isLast(t, chunks[c].length)) return Number.NaN;
      const [max, sum, target] = rows.subarray(3 * t, 3 * t + 3);
      return finite(max + Math.log(sum) - target);
    }),
  );
}

/** How two models predict the same tokens, in their order. */
export interface Divergences {
  /** Negative log-likelihoods of each token, in nats: the first model's and the second's. */
  before: Float64Array;
  after: Float64Array;
  /** KL(p‖q) in nats of what the first and the second model expect at each token. */
  kl: Float64Array;
  /** 1 where both find the same token likeliest. */
  sameTop: Uint8Array;
}

/**
 * How two models predict the id that follows each position, but for the last one of a window.
 * @throws QuantError `non-finite-activations`.
 */
export async function tokenDivergences(
  { activations, chunks, ...rest }: LossesInput,
  models: readonly [original: LastStates, other: LastStates],
): Promise<Divergences> {
  const { ops } = activations;
  const running = chunks.map(({ ids }) => ops.divergenceStart(ids.length));
  const targets = targetsOf(activations, chunks);
  await eachLogits({ activations, models, ...rest }, ([x, y], chunk, offset) =>
    ops.divergenceUpdate(running[chunk], x, y, targets[chunk], offset),
  );
  ops.free(...targets);
  const count = chunks.reduce((sum, { ids, length }) => sum + ids.length - ids.length / length, 0);
  const floats = () => new Float64Array(count);
  const found: Divergences = { before: floats(), after: floats(), kl: floats(), sameTop: new Uint8Array(count) };
  let at = 0;
  for (const [c, { ids, length }] of chunks.entries()) {
    const [rows] = await ops.read([running[c]]);
    ops.free(running[c]);
    for (let t = 0; t < ids.length; t++)
      if (!isLast(t, length)) put(found, at++, readDivergence(rows.subarray(divergenceColumns * t, divergenceColumns * (t + 1))));
  }
  return found;
}

function put(into: Divergences, at: number, { before, after, kl, sameTop }: TokenDivergence): void {
  into.before[at] = finite(before);
  into.after[at] = finite(after);
  into.kl[at] = finite(kl);
  into.sameTop[at] = sameTop ? 1 : 0;
}

const noTarget = 0xffffffff;
const isLast = (t: number, length: number): boolean => (t + 1) % length === 0;

/** The id each position must predict; the last of a window predicts nothing. */
const targetsOf = ({ ops }: Activations, chunks: readonly Ids[]): Tensor[] =>
  chunks.map(({ ids, length }) =>
    ops.fromUints(
      Uint32Array.from(ids, (_, t) => (isLast(t, length) ? noTarget : ids[t + 1])),
      [ids.length],
    ),
  );

function finite(loss: number): number {
  if (!Number.isFinite(loss)) throw new QuantError("non-finite-activations", "the logits", "The model cannot be evaluated.");
  return loss;
}
