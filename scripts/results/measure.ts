/** The measurements themselves, by the same engine as the page's. */
import { parse, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { scoresOf } from "../../src/engine/accuracy";
import { compare, perplexity } from "../../src/engine/evaluate";
import { type RunResult, run } from "../../src/engine/run";
import { answerQuestions } from "../../src/engine/tasks";
import { diskSourceFile, folderSource } from "../../src/io/node";
import { type TokenWindows, windowsFromNpy } from "../../src/model/calibration";
import { type Model, openModel } from "../../src/model/checkpoint";
import type { Question } from "../../src/model/question";
import { parseQuestions } from "../../src/model/tasks";
import { decode } from "../../src/model/text-file";
import { type Encoder, openTokenizer } from "../../src/model/tokenizer";
import type { Ops } from "../../src/ops/ops";
import type { TaskScore } from "../../src/results/measures";
import type { BlockReport } from "../../src/results/report";
import { isTabled } from "./scores";
import type { Growth, Measurement, Original } from "./types";

export interface Bench {
  ops: Ops;
  model: Model;
  calibration: TokenWindows;
  evaluation: TokenWindows;
  encoder: Encoder;
  questions: Question[];
}

const windowLength = 128;
const emit = () => {};

/** The demo model and texts of the oracle's figures, and the questions. */
export async function openBench(root: string, ops: Ops): Promise<Bench> {
  const model = await openModel(await folderSource(`${root}/public/demo/model`));
  const bytes = async (path: string) => {
    const file = await diskSourceFile(`${root}/${path}`);
    return file.read(0, file.size);
  };
  const tokens = async (name: string) => windowsFromNpy(name, await bytes(`tests/fixtures/demo/${name}`), windowLength);
  return {
    ops,
    model,
    calibration: await tokens("calibration.npy"),
    evaluation: await tokens("evaluation.npy"),
    encoder: await openTokenizer(model.source),
    questions: parseQuestions("tasks.jsonl", decode("tasks.jsonl", await bytes("public/demo/tasks.jsonl"))),
  };
}

export async function measureOriginal({ ops, model, evaluation, encoder, questions }: Bench): Promise<Original> {
  const { perplexity: value } = await perplexity({ ops, model, tokens: evaluation, emit });
  return { perplexity: value, tasks: scoresOf(await answerQuestions({ ops, model, emit }, encoder, questions)) };
}

export async function measureRecipe(bench: Bench, name: string, flags: string[]): Promise<Measurement> {
  const { ops, model, calibration, evaluation } = bench;
  const recipe = await recipeOf(parse(["model", ...flags], quantizeOptions).options);
  const result = await run({ ops, model, tokens: calibration, recipe, emit });
  const compared = await compare({ ops, model, tokens: evaluation, emit }, result.quantized);
  return {
    name,
    flags,
    perplexity: compared.perplexity,
    calibration: growthOf(result.report.blocks),
    evaluation: growthOf(compared.blocks),
    layers: Object.fromEntries(result.report.layers.map((layer) => [layer.name, layer.relativeError])),
    // The questions take longest, and only the table tells of them.
    tasks: isTabled(name) ? await tasksOf(bench, result) : [],
  };
}

const growthOf = (blocks: readonly BlockReport[]): Growth => ({
  delta: blocks.map((b) => b.delta),
  relativeDelta: blocks.map((b) => b.relativeDelta),
});

const tasksOf = async ({ ops, model, encoder, questions }: Bench, { quantized }: RunResult): Promise<TaskScore[]> =>
  scoresOf(await answerQuestions({ ops, model, emit, quantized }, encoder, questions));
