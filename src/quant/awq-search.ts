import { throwIfCancelled } from "../errors";
import { type Activation, using } from "../ops/activations";
import { type Ops, type Tensor, tensorsOf } from "../ops/ops";
import type { StageLayer, StageView } from "./quantizer";
import { roundToNearest } from "./rtn";

/** Exponents r = i/20 of mean|x|^r that are tried. */
const exponents = 20;
/**
 * Rounds of the search. Each looks at one window in `step`, or at as many as hold `tokens`, and keeps the exponents of the least errors. All windows choose
 * among the last.
 */
const rounds = [
  { step: 16, tokens: 2048, keep: 5 },
  { step: 4, tokens: 8192, keep: 2 },
];
/** The rounds whose samples are less than all of so many tokens. */
const roundsFor = (tokens: number) =>
  rounds
    .map(({ step, tokens: least, keep }) => ({ step: Math.min(step, Math.floor(tokens / least)), keep }))
    .filter(({ step }) => step > 1);

/** How often `searchScale` takes all tokens through the module. */
export function modulePasses(tokens: number): number {
  let [passes, left] = [1, exponents];
  for (const { step, keep } of roundsFor(tokens)) [passes, left] = [passes + left / step, keep];
  return passes + left;
}

/** Inputs of the module, and its output for them with the weights as they are. */
interface Trial {
  x: Activation;
  reference: Activation;
}

/**
 * AWQ's scale s = mean|x|^r of a stage's inputs, with the least squared error of the module's output; of equals, the one with the smallest r.
 *
 * The paper's authors try every exponent on every token, which costs the module's forward pass twenty times. Here samples of the windows leave fewer and
 * fewer of them to try: it is the same exponent in the end, unless a sample of thousands of tokens ranks the best of twenty behind five others. (On the demo,
 * samples of 512 tokens miss it now and then; its perplexities stay within the oracle's tolerances.)
 */
export async function searchScale(stage: StageView, ops: Ops, signal?: AbortSignal): Promise<Float64Array> {
  const magnitude = await meanMagnitude(stage, ops);
  const all = await trialsOf(stage, ops, signal);
  let scales = Array.from({ length: exponents }, (_, i) => scaleOf(magnitude, i / exponents));
  for (const { step, keep } of roundsFor(stage.tokens)) {
    const sample = await sampled(stage, all, step, ops);
    scales = await leastErrors(stage, sample, scales, keep, ops, signal);
    for (const trial of sample) for (const activation of [trial.x, trial.reference]) activation.free();
  }
  const [best] = await leastErrors(stage, all, scales, 1, ops, signal);
  for (const { reference } of all) reference.free();
  return best;
}

async function trialsOf(stage: StageView, ops: Ops, signal?: AbortSignal): Promise<Trial[]> {
  const weights = stage.layers.map((l) => l.weight);
  const trials: Trial[] = [];
  for (let c = 0; c < stage.chunks; c++) {
    const x = stage.x(c);
    trials.push({ x, reference: await stage.hold(await using(x, (tensor) => stage.moduleOutput(tensor, weights))) });
    await ops.flush();
    throwIfCancelled(signal);
  }
  return trials;
}

/** A trial on the first of each chunk's windows, so many that they are one in `step` of all. A copy, which the caller frees. */
async function sampled(stage: StageView, trials: readonly Trial[], step: number, ops: Ops): Promise<Trial[]> {
  const sample: Trial[] = [];
  let seen = 0;
  for (const { x, reference } of trials) {
    const windows = x.shape[0] / stage.length;
    const count = Math.ceil((seen + windows) / step) - Math.ceil(seen / step);
    seen += windows;
    if (count === 0) continue;
    const first = (activation: Activation) => using(activation, (tensor) => ops.everyRow(tensor, 0, 1, count * stage.length));
    sample.push({ x: await stage.hold(await first(x)), reference: await stage.hold(await first(reference)) });
  }
  return sample;
}

/** The `count` scales with the least errors over the trials, in their order. */
async function leastErrors(
  stage: StageView,
  trials: readonly Trial[],
  scales: readonly Float64Array[],
  count: number,
  ops: Ops,
  signal?: AbortSignal,
): Promise<Float64Array[]> {
  const errors: number[] = [];
  for (const scale of scales) {
    const error = await trialError(stage, trials, scale, ops, signal);
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
  let error = 0;
  for (const pairs of sums) for (let i = 0; i < pairs.length; i += 2) error += pairs[i];
  return error;
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
