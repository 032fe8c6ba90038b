import { expect, test } from "vitest";
import { scoreTasks } from "../../src/engine/tasks";
import { openModel } from "../../src/model/checkpoint";
import type { Question } from "../../src/model/tasks";
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
  const questions = [ask("abc", ["de", "fg", "hi"], 0), ask("a", ["bcdefgh", "b"], 1), ask("zyxw", ["v", "uu"], 0)];
  const best = async (q: Question) => {
    for (let answer = 0; answer < q.choices.length; answer++)
      if ((await scoreTasks(input, encoder, [{ ...q, answer }]))[0].accuracy === 1) return answer;
    return -1;
  };
  const answers: number[] = [];
  for (const q of questions) answers.push(await best(q));
  expect(answers.every((a) => a >= 0)).toBe(true);
  const events: RunEvent[] = [];
  const right = questions.map((q, i) => ({ ...q, answer: answers[i] }));
  const scores = await scoreTasks({ ...input, emit: (e) => events.push(e) }, encoder, [...right, ask("q", ["r", "s"], 0, "other")]);
  expect(scores.map((s) => s.kind)).toEqual(["k", "other", "all"]);
  expect(scores[0]).toMatchObject({ questions: 3, accuracy: 1 });
  expect(scores[2].questions).toBe(4);
  expect(events.at(-1)).toMatchObject({ done: 9, total: 9 });
  expect(ops.liveBytes).toBe(0);
});

test("a question longer than the model is refused", async () => {
  const model = await openModel(tinySource());
  const long = ask("a".repeat(70), ["b", "c"], 0);
  await expect(scoreTasks({ ops: createCpuOps(), model, emit: () => {} }, encoder, [long])).rejects.toThrow("the model knows 64 positions");
});
