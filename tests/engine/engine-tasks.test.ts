import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { Engine } from "../../src/engine/engine";
import { bytesFile } from "../../src/io/memory";
import { parseQuestions } from "../../src/model/tasks";
import type { RunEvent } from "../../src/results/events";
import { memoryPlatform } from "../support/platform";
import { recipeWith } from "../support/recipe";
import { tinyConfig, tinySource } from "../support/tiny";

const demo = (name: string) => readFileSync(new URL(`../../public/demo/${name}`, import.meta.url), "utf8");

/** A tiny model behind the demo's tokenizer. */
function worded() {
  const source = tinySource({ ...tinyConfig, vocab_size: 1024, max_position_embeddings: 512 });
  const settings = ["tokenizer.json", "tokenizer_config.json"].map((name) => bytesFile(name, demo(`model/${name}`)));
  return { ...source, files: [...source.files, ...settings] };
}

test("the checkpoint's own answers are computed once and kept for the next run", async () => {
  const engine = new Engine(memoryPlatform());
  await engine.open(worded());
  const signal = new AbortController().signal;
  const recipe = recipeWith({ bits: 2, blocks: 1, calibration: { windows: 1, windowLength: 32, seed: 0 } });
  await engine.run({ id: "a", recipe, text: { file: bytesFile("calibration.jsonl", demo("calibration.jsonl")) } }, () => {}, signal);
  const questions = parseQuestions("tasks.jsonl", demo("tasks.jsonl")).slice(0, 6);
  const scored = async (id: string | null) => {
    const events: RunEvent[] = [];
    const result = await engine.scoreTasks(id, questions, (e) => events.push(e), signal);
    const progress = events.filter((e) => e.type === "progress");
    expect(progress.map((e) => e.done)).toEqual(progress.map((e) => e.done).sort((x, y) => x - y));
    expect(progress.at(-1)?.done).toBe(progress.at(-1)?.total);
    return { ...result, steps: progress.length };
  };
  const first = await scored("a");
  const second = await scored("a");
  expect(first.steps).toBe(2 * second.steps);
  expect(second.changes).toEqual(first.changes);
  const alone = await scored(null);
  expect(alone).toMatchObject({ steps: 0, changes: null, scores: first.scores });
  expect(first.changes!.at(-1)).toMatchObject({ kind: "all", questions: 6, accuracy: { before: alone.scores.at(-1)!.accuracy } });
  await expect(engine.scoreTasks("a", questions.slice(1), () => {}, AbortSignal.abort())).rejects.toThrow("Cancelled");
});
