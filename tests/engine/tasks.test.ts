import { expect, test } from "vitest";
import { perplexity } from "../../src/engine/evaluate";
import { scoreTasks } from "../../src/engine/tasks";
import { openModel } from "../../src/model/checkpoint";
import type { Question } from "../../src/model/question";
import { createCpuOps } from "../../src/ops/cpu";
import type { RunEvent } from "../../src/worker/protocol";
import { tinySource } from "../support/tiny";

/** A letter is an id. */
const encoder = { encode: (text: string) => [1, ...[...text].map((c) => 2 + (c.charCodeAt(0) % 40))] };
const ask = (context: string, choices: string[], answer: number, kind = "k"): Question => ({ kind, context, choices, answer });

test("each question's likeliest choice is found, alone or among others of other lengths", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const input = { ops, model, emit: () => {} };
  const letters = "abcdefghijklmnop";
  const questions = Array.from({ length: 12 }, (_, i) =>
    ask(letters.slice(i, i + 2 + (i % 3)), [letters[i], letters[(i * 5) % 16], letters[(i * 7 + 3) % 16], letters.slice(3, 6)], 0),
  );
  // Another way to the same figure: what a choice adds to the loss of its context.
  const loss = async (text: string) => {
    const ids = Int32Array.from(encoder.encode(text));
    const { perplexity: p } = await perplexity({ ...input, tokens: { length: ids.length, windows: 1, ids } });
    return Math.log(p) * (ids.length - 1);
  };
  const answers: number[] = [];
  for (const q of questions) {
    const losses: number[] = [];
    for (const choice of q.choices) losses.push((await loss(q.context + choice)) - (await loss(q.context)));
    answers.push(losses.indexOf(Math.min(...losses)));
  }
  const events: RunEvent[] = [];
  const right = questions.map((q, i) => ({ ...q, answer: answers[i] }));
  const scores = await scoreTasks({ ...input, emit: (e) => events.push(e) }, encoder, [...right, ask("q", ["r", "s"], 0, "other")]);
  expect(scores.map((s) => s.kind)).toEqual(["k", "other", "all"]);
  expect(scores[0]).toMatchObject({ questions: 12, accuracy: 1 });
  expect(scores[2].questions).toBe(13);
  expect(events.at(-1)).toMatchObject({ done: 50, total: 50 });
  expect(ops.liveBytes).toBe(0);
});

test("a question longer than the model is refused", async () => {
  const model = await openModel(tinySource());
  const long = ask("a".repeat(70), ["b", "c"], 0);
  await expect(scoreTasks({ ops: createCpuOps(), model, emit: () => {} }, encoder, [long])).rejects.toThrow("the model knows 64 positions");
});
