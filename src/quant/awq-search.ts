import { throwIfCancelled } from "../errors";
import { type Activation, using } from "../ops/activations";
import { type Ops, type Tensor, tensorsOf } from "../ops/ops";
import type { StageLayer, StageView } from "./quantizer";
import { roundToNearest } from "./rtn";

/** Exponents r = i/20 of mean|x|^r that are tried. */
export const exponents = 20;
/** Rounds of the search. Each looks at one window in `step`, or at as many as hold `tokens`, and keeps the exponents of the least errors. */
const rounds = [
  { step: 16, tokens: 512, keep: 5 },
  { step: 4, tokens: 2048, keep: 1 },
];
/** Fewer tokens than these are looked at whole, by all exponents. */
const sampledFrom = 4096;
const roundsFor = (tokens: number) =>
  tokens < sampledFrom
    ? [{ step: 1, keep: 1 }]
    : rounds.map(({ step, tokens: least, keep }) => ({ step: Math.min(step, Math.floor(tokens / least)), keep }));

/** How often `searchScale` takes all tokens through the module: in each round as it is, and under each exponent that is left. */
export function modulePasses(tokens: number): number {
  let [passes, left] = [0, exponents];
  for (const { step, keep } of roundsFor(tokens)) [passes, left] = [passes + (1 + left) / step, keep];
  return passes;
}

/** Inputs of the module, and its output for them with the weights as they are. */
interface Trial {
  x: Activation;
  reference: Activation;
}

/**
 * AWQ's scale s = mean|x|^r of a stage's inputs, with the least squared error of the module's output; of equals, the one with the smallest r.
 *
 * The paper's authors try every exponent on every token, which costs the module's forward pass twenty times. Two things make it cheaper here. Where the
 * module is the one layer itself (o and down), its error is Σ_i Δ_i·XᵀX·Δ_iᵀ over the rows of Δ = Q(W·s)/s − W, and XᵀX is the same for all exponents.
 * Elsewhere samples of the windows decide: hundreds of tokens which five exponents are worth a look, thousands which of these it is.
 */
export async function searchScale(stage: StageView, ops: Ops, signal?: AbortSignal): Promise<Float64Array> {
  const magnitude = await meanMagnitude(stage, ops);
  const scales = Array.from({ length: exponents }, (_, i) => scaleOf(magnitude, i / exponents));
  return isModule(stage.layers.length) ? bestByGram(stage, scales, ops, signal) : bestByOutputs(stage, scales, ops, signal);
}

/** Whether a stage of so many layers is a module by itself, linear in its weights. */
export const isModule = (layers: number): boolean => layers === 1;

async function bestByOutputs(stage: StageView, all: Float64Array[], ops: Ops, signal?: AbortSignal): Promise<Float64Array> {
  let scales = all;
  for (const { step, keep } of roundsFor(stage.tokens)) {
    const trials = await trialsOf(stage, step, ops, signal);
    scales = await leastErrors(scales, keep, (scale) => trialError(stage, trials, scale, ops, signal));
    for (const { x, reference } of trials) for (const activation of step === 1 ? [reference] : [x, reference]) activation.free();
  }
  return scales[0];
}

async function bestByGram(stage: StageView, scales: Float64Array[], ops: Ops, signal?: AbortSignal): Promise<Float64Array> {
  const [layer] = stage.layers;
  const n = layer.weight.shape[1];
  const gram = ops.zeros([n, n]);
  for (let c = 0; c < stage.chunks; c++) {
    await using(stage.x(c), (x) => ops.gram(gram, x));
    await ops.flush();
    throwIfCancelled(signal);
  }
  ops.mirror(gram);
  const [best] = await leastErrors(scales, 1, (scale) => gramError(layer, gram, scale, ops, signal));
  ops.free(gram);
  return best;
}

/** Trials on the first of each chunk's windows, so many that they are one in `step` of all. Their x are copies, except with all windows. */
async function trialsOf(stage: StageView, step: number, ops: Ops, signal?: AbortSignal): Promise<Trial[]> {
  const weights = stage.layers.map((l) => l.weight);
  const trials: Trial[] = [];
  let seen = 0;
  for (let c = 0; c < stage.chunks; c++) {
    const windows = stage.x(c).shape[0] / stage.length;
    const count = Math.ceil((seen + windows) / step) - Math.ceil(seen / step);
    seen += windows;
    if (count === 0) continue;
    const first = () => using(stage.x(c), (tensor) => ops.everyRow(tensor, 0, 1, count * stage.length));
    const x = step === 1 ? stage.x(c) : await stage.hold(await first());
    trials.push({ x, reference: await stage.hold(await using(x, (tensor) => stage.moduleOutput(tensor, weights))) });
    await ops.flush();
    throwIfCancelled(signal);
  }
  return trials;
}

/** The `count` scales with the least errors, in their order. */
async function leastErrors(
  scales: readonly Float64Array[],
  count: number,
  errorOf: (scale: Float64Array) => Promise<number>,
): Promise<Float64Array[]> {
  const errors: number[] = [];
  for (const scale of scales) {
    const error = await errorOf(scale);
    errors.push(Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
  }
  // A comparison of its own, as ∞ − ∞ is no order; sorting keeps equals in theirs.
  const order = [...scales.keys()].sort((a, b) => (errors[a] === errors[b] ? 0 : errors[a] - errors[b]));
  return order
    .slice(0, count)
    .sort((a, b) => a - b)
    .map((i) => scales[i]);
}

/** mean|x_j| over all tokens of X. */
async function meanMagnitude(stage: StageView, ops: Ops): Promise<Float64Array> {
  const sums = ops.zeros([stage.layers[0].weight.shape[1]]);
  for (let c = 0; c < stage.chunks; c++) await using(stage.x(c), (x) => ops.addColumnSums(sums, x));
  const [values] = await ops.read([sums]);
  ops.free(sums);
  return Float64Array.from(values, (v) => v / stage.tokens);
}

/** max(m^r, 1e-4), normalised by √(max · min). */
function scaleOf(magnitude: Float64Array, exponent: number): Float64Array {
  const raw = magnitude.map((m) => Math.max(m ** exponent, 1e-4));
  const norm = Math.sqrt(raw.reduce((a, b) => Math.max(a, b)) * raw.reduce((a, b) => Math.min(a, b)));
  return raw.map((x) => x / norm);
}

/** Σ ‖module(x) − reference‖² with the weights rounded under this scale. */
async function trialError(
  stage: StageView,
  trials: readonly Trial[],
  scale: Float64Array,
  ops: Ops,
  signal?: AbortSignal,
): Promise<number> {
  const s = ops.fromFloats(scale, [scale.length]);
  const weights = stage.layers.map((layer) => roundedUnder(layer, s, ops));
  const partials: Tensor[] = [];
  for (const { x, reference } of trials) {
    const output = await using(x, (tensor) => stage.moduleOutput(tensor, weights));
    partials.push(await using(reference, (tensor) => ops.squaredDifference(tensor, output)));
    ops.free(output);
    await ops.flush();
    throwIfCancelled(signal);
  }
  const sums = await ops.read(partials);
  ops.free(s, ...weights, ...partials);
  return sums.reduce((error, pairs) => error + sumOfFirsts(pairs), 0);
}

/** Σ_i Δ_i·XᵀX·Δ_iᵀ for the layer rounded under this scale. @param gram XᵀX [in, in], mirrored. */
async function gramError(layer: StageLayer, gram: Tensor, scale: Float64Array, ops: Ops, signal?: AbortSignal): Promise<number> {
  const s = ops.fromFloats(scale, [scale.length]);
  const rounded = roundedUnder(layer, s, ops);
  const change = ops.add(rounded, layer.weight, -1);
  ops.free(s, rounded);
  const product = ops.matmul(change, gram);
  const partials = ops.innerProducts(product, change);
  const [pairs] = await ops.read([partials]);
  ops.free(change, product, partials);
  throwIfCancelled(signal);
  return sumOfFirsts(pairs);
}

/** The first of each pair of partial sums, added up in float64. */
function sumOfFirsts(pairs: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < pairs.length; i += 2) sum += pairs[i];
  return sum;
}

/** Q(W·s)/s: the weights that would act on the unscaled inputs. */
function roundedUnder(layer: StageLayer, s: Tensor, ops: Ops): Tensor {
  const scaled = ops.scaleColumns(layer.weight, s);
  const { codes, grid } = roundToNearest(scaled, layer.grid, ops);
  const rounded = ops.decode(codes, grid);
  const acting = ops.scaleColumns(rounded, s, true);
  ops.free(scaled, codes, ...tensorsOf(grid), rounded);
  return acting;
}
