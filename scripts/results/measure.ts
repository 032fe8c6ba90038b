/** The measurements themselves, by the same engine as the page's. */
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { scoresOf } from "../../src/engine/accuracy";
import { windowsPerChunk } from "../../src/engine/chunks";
import { evaluate, perplexityOf } from "../../src/engine/evaluate";
import { identityOf } from "../../src/engine/identity";
import { run } from "../../src/engine/run";
import { RunStore } from "../../src/engine/run-store";
import { answerQuestions } from "../../src/engine/tasks";
import { diskSourceFile, folderSource } from "../../src/io/node";
import { memoryScratch } from "../../src/io/scratch";
import { type TokenWindows, windowsFromNpy } from "../../src/model/calibration";
import { type Model, openModel } from "../../src/model/checkpoint";
import type { Question } from "../../src/model/question";
import { parseQuestions } from "../../src/model/tasks";
import { decodeText } from "../../src/model/text-file";
import { type Encoder, openTokenizer } from "../../src/model/tokenizer";
import type { Activations } from "../../src/ops/activations";
import { resolve } from "../../src/quant/resolve";
import type { TaskScore } from "../../src/results/measures";
import type { BlockReport } from "../../src/results/report";
import { isTabled } from "./scores";
import type { Growth, Measurement, Original } from "./types";

export interface Bench {
  activations: Activations;
  model: Model;
  calibration: TokenWindows;
  evaluation: TokenWindows;
  encoder: Encoder;
  questions: Question[];
}

const windowLength = 128;
const emit = () => {};

/** The demo model and texts of the oracle's figures, and the questions. */
export async function openBench(root: string, activations: Activations): Promise<Bench> {
  const model = await openModel(await folderSource(`${root}/public/demo/model`));
  const bytes = async (path: string) => {
    const file = await diskSourceFile(`${root}/${path}`);
    return file.read(0, file.size);
  };
  const tokens = async (name: string) => windowsFromNpy(name, await bytes(`tests/fixtures/demo/${name}`), windowLength);
  return {
    activations,
    model,
    calibration: await tokens("calibration.npy"),
    evaluation: await tokens("evaluation.npy"),
    encoder: await openTokenizer(model.source),
    questions: parseQuestions("tasks.jsonl", decodeText("tasks.jsonl", await bytes("public/demo/tasks.jsonl"))),
  };
}

const perChunk = ({ spec }: Model, { length }: TokenWindows): number => windowsPerChunk(spec, length);

export async function measureOriginal({ activations, model, evaluation, encoder, questions }: Bench): Promise<Original> {
  const { perplexity: value } = await perplexityOf({ activations, model, tokens: evaluation, perChunk: perChunk(model, evaluation), emit });
  return {
    perplexity: value,
    tasks: scoresOf(await answerQuestions({ activations, model, tokensPerPass: windowsPerChunk(model.spec, 1), emit }, encoder, questions)),
  };
}

export async function measureRecipe(bench: Bench, name: string, flags: string[]): Promise<Measurement> {
  const { activations, model, calibration, evaluation } = bench;
  const recipe = await recipeOf(parseCommandLine(["model", "--preset", "paper", "--method", "rtn", ...flags], quantizeOptions).options);
  const plan = resolve(recipe, model);
  const windows = { tokens: calibration, heldOut: null };
  const identity = await identityOf(model, recipe, plan.blocks, { label: "calibration.npy", calibration: windows });
  const store = await RunStore.create(memoryScratch(), identity, windows);
  const report = await run({ activations, model, plan, calibration: windows, store, perChunk: perChunk(model, calibration), emit });
  const compared = await evaluate({ activations, model, tokens: evaluation, perChunk: perChunk(model, evaluation), emit }, store);
  return {
    name,
    flags,
    perplexity: compared.perplexity,
    calibration: growthOf(report.blocks),
    evaluation: growthOf(compared.blocks),
    layers: Object.fromEntries(report.layers.map((layer) => [layer.name, layer.relativeError])),
    // The questions take longest, and only the table tells of them.
    tasks: isTabled(name) ? await tasksOf(bench, store) : [],
  };
}

const growthOf = (blocks: readonly BlockReport[]): Growth => ({
  delta: blocks.map((b) => b.delta),
  relativeDelta: blocks.map((b) => b.relativeDelta),
});

const tasksOf = async ({ activations, model, encoder, questions }: Bench, quantized: RunStore): Promise<TaskScore[]> =>
  scoresOf(
    await answerQuestions({ activations, model, tokensPerPass: windowsPerChunk(model.spec, 1), emit, quantized }, encoder, questions),
  );
