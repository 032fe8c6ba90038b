/** The engine's jobs on given ops, with all that a test does not care about. */
import { wholeBlocksOf } from "../../src/engine/blocks";
import { embedChunks, windowsPerChunk } from "../../src/engine/chunks";
import * as evaluation from "../../src/engine/evaluate";
import type { Recording } from "../../src/engine/full-precision";
import { identityOf } from "../../src/engine/identity";
import type { EvaluationInput as PassesInput } from "../../src/engine/passes";
import { run as runPlan } from "../../src/engine/run";
import { RunStore } from "../../src/engine/run-store";
import { Stream } from "../../src/engine/stream";
import * as tasks from "../../src/engine/tasks";
import { runUncalibrated as roundPlan } from "../../src/engine/uncalibrated";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import type { TokenWindows } from "../../src/model/calibration";
import type { Checkpoint, Model } from "../../src/model/checkpoint";
import { createGeometry } from "../../src/model/forward";
import { type ActivationBudget, Activations } from "../../src/ops/activations";
import type { Ops } from "../../src/ops/ops";
import type { RunPlan } from "../../src/quant/layer-plan";
import { resolve } from "../../src/quant/resolve";
import type { Recipe } from "../../src/recipe/recipe";
import type { RunEvent } from "../../src/results/events";
import type { RunReport } from "../../src/results/report";

const known = new WeakMap<Ops, Activations>();

/** The same for the same ops, as recordings need. */
export function activationsOf(ops: Ops, budget?: ActivationBudget): Activations {
  const activations = (!budget && known.get(ops)) || new Activations(ops, async () => memoryScratch(), budget);
  known.set(ops, activations);
  return activations;
}

type WithOps<T extends { activations: Activations }> = Omit<T, "activations"> & { ops: Ops };

const withActivations = <T extends { activations: Activations }>({ ops, ...rest }: WithOps<T>): T =>
  ({ ...rest, activations: activationsOf(ops) }) as unknown as T;

export interface RunInput {
  ops: Ops;
  model: Model;
  tokens: TokenWindows;
  heldOut?: TokenWindows | null;
  recipe: Recipe;
  emit?(event: RunEvent): void;
  signal?: AbortSignal;
  recording?: Recording | null;
  /** Where it is kept; one that holds a part of it is continued. */
  scratch?: Scratch;
}

export interface Finished {
  report: RunReport;
  quantized: RunStore;
  plan: RunPlan;
}

/** A run by itself. */
export async function run(input: RunInput): Promise<Finished> {
  const { ops, model, tokens, heldOut = null, recipe, emit = () => {}, signal, recording, scratch = memoryScratch() } = input;
  const plan = resolve(recipe, model);
  const calibration = { tokens, heldOut };
  const identity = await identityOf(model, recipe, plan.blocks, { label: "text", calibration });
  const store = (await RunStore.open(scratch)) ?? (await RunStore.create(scratch, identity, calibration));
  const activations = activationsOf(ops);
  const perChunk = windowsPerChunk(model.spec, tokens.length);
  const report = await runPlan({ activations, model, plan, calibration, store, perChunk, emit, signal, recording });
  return { report, quantized: store, plan };
}

export async function runUncalibrated(
  ops: Ops,
  checkpoint: Checkpoint,
  recipe: Recipe,
  emit: (event: RunEvent) => void = () => {},
  signal?: AbortSignal,
): Promise<Finished> {
  const plan = resolve(recipe, checkpoint);
  const store = await RunStore.create(memoryScratch(), await identityOf(checkpoint, recipe, plan.blocks, null), null);
  const report = await roundPlan({ activations: activationsOf(ops), checkpoint, plan, store, emit, signal });
  return { report, quantized: store, plan };
}

type EvaluationInput = Omit<WithOps<PassesInput>, "perChunk">;

const inChunks = (input: EvaluationInput): PassesInput =>
  withActivations({ ...input, perChunk: windowsPerChunk(input.model.spec, input.tokens.length) });

export const evaluate = (input: EvaluationInput, quantized: Parameters<typeof evaluation.evaluate>[1]) =>
  evaluation.evaluate(inChunks(input), quantized);

export const evaluateAgainst = (input: EvaluationInput, original: Model) => evaluation.evaluateAgainst(inChunks(input), original);

export const perplexityOf = (input: EvaluationInput) => evaluation.perplexityOf(inChunks(input));

export const answerQuestions = (
  input: Omit<WithOps<tasks.TasksInput>, "tokensPerPass">,
  ...rest: Parameters<typeof tasks.answerQuestions> extends [unknown, ...infer R] ? R : never
) => tasks.answerQuestions(withActivations({ ...input, tokensPerPass: windowsPerChunk(input.model.spec, 1) }), ...rest);

/** The residual stream of these tokens before block 0, in one chunk. */
export async function startOf(ops: Ops, model: Model, tokens: TokenWindows): Promise<Stream> {
  const geometry = createGeometry(ops, model.spec, tokens.length);
  const [h] = await embedChunks(activationsOf(ops), model, [tokens.ids]);
  return new Stream(activationsOf(ops), [{ h, geometry }]);
}

/** The same after the last block. `after` sees it after each. */
export async function forward(ops: Ops, model: Model, tokens: TokenWindows, after = async (_: Stream) => {}): Promise<Stream> {
  const stream = await startOf(ops, model, tokens);
  for await (const block of wholeBlocksOf(ops, model)) {
    await stream.pass(0, block);
    await after(stream);
  }
  return stream;
}
