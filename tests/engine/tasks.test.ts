import { expect, test } from "vitest";
import { changesOf, scoresOf } from "../../src/engine/accuracy";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { type Model, openModel } from "../../src/model/checkpoint";
import type { Question } from "../../src/model/question";
import { createCpuOps } from "../../src/ops/cpu";
import type { RunEvent } from "../../src/results/events";
import { answerQuestions, perplexityOf, run } from "../support/engine";
import { recipeWith } from "../support/recipe";
import { tinySource, tinyTokens } from "../support/tiny";

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
    const { perplexity: p } = await perplexityOf({ ...input, tokens: { length: ids.length, windows: 1, ids } });
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
  const answered = await answerQuestions({ ...input, emit: (e) => events.push(e) }, encoder, [...right, ask("q", ["r", "s"], 0, "other")]);
  const scores = scoresOf(answered);
  expect(scores.map((s) => s.kind)).toEqual(["k", "other", "all"]);
  expect(scores[0]).toMatchObject({ questions: 12, accuracy: 1 });
  expect(scores[2].questions).toBe(13);
  const progress = events.filter((e) => e.type === "progress");
  expect(new Set(progress.map((e) => e.total)).size).toBe(1);
  expect(progress.at(-1)!.done).toBe(progress[0].total);
  expect(ops.liveBytes).toBe(0);
});

/** −log p of a text's ids after the first `from`, as one window. */
async function lossAfter(model: Model, ids: number[], from: number): Promise<number> {
  const loss = async (n: number) => {
    if (n < 2) return 0;
    const tokens = { length: n, windows: 1, ids: Int32Array.from(ids.slice(0, n)) };
    return Math.log((await perplexityOf({ ops: createCpuOps(), model, tokens, emit: () => {} })).perplexity) * (n - 1);
  };
  return (await loss(ids.length)) - (await loss(from));
}

const least = (losses: number[]) => losses.indexOf(Math.min(...losses));

test("over its length in bytes, blanks around it left out, another choice may be the likeliest", async () => {
  const model = await openModel(tinySource());
  let lengthsMatter = 0;
  let blanksMatter = 0;
  for (const choices of [
    ["    a", "bc"],
    ["q", "ééé", "r"],
  ])
    for (const context of ["ab", "bd", "cf", "dh", "ej", "fl"]) {
      const from = encoder.encode(context).length;
      const losses = [];
      for (const choice of choices) losses.push(await lossAfter(model, encoder.encode(context + choice), from));
      const bytes = choices.map((choice) => ({ "    a": 1, bc: 2, ééé: 6 })[choice] ?? 1);
      const normalized = least(losses.map((loss, i) => loss / bytes[i]));
      const questions = choices.map((_, answer) => ask(context, choices, answer));
      const answers = await answerQuestions({ ops: createCpuOps(), model, emit: () => {} }, encoder, questions);
      expect(answers.map((a) => a.right).indexOf(true)).toBe(least(losses));
      expect(answers.map((a) => a.normalizedRight).indexOf(true)).toBe(normalized);
      if (normalized !== least(losses)) lengthsMatter++;
      if (normalized !== least(losses.map((loss, i) => loss / choices[i].length))) blanksMatter++;
    }
  expect(Math.min(lengthsMatter, blanksMatter)).toBeGreaterThan(0);
});

test("a choice that melts into its context's last token is scored by that token", async () => {
  const model = await openModel(tinySource());
  // "…xy" is one token, and "…x" another.
  const melting = { encode: (text: string) => encoder.encode(text.replace(/xy$/, "z")) };
  const choices = ["y", "b", "c", "d", "e"];
  const likeliest = new Set<number>();
  for (const context of ["abx", "cdx", "efx", "ghx", "ijx", "klx"]) {
    const losses = [];
    for (const choice of choices) losses.push(await lossAfter(model, melting.encode(context + choice), choice === "y" ? 3 : 4));
    const questions = choices.map((_, answer) => ask(context, choices, answer));
    const answers = await answerQuestions({ ops: createCpuOps(), model, emit: () => {} }, melting, questions);
    expect(answers.map((a) => a.right).indexOf(true)).toBe(least(losses));
    likeliest.add(least(losses));
  }
  expect(likeliest.size).toBeGreaterThan(1);
});

test("what does not fit one pass gives the same in several, of other lengths", async () => {
  const model = await openModel(tinySource());
  const input = { ops: createCpuOps(), model, emit: () => {} };
  const letters = "abcdefghijklmnopqrstuvwxyz".repeat(3);
  // Choices of up to 60 tokens; 4,096 make a pass.
  const questions = Array.from({ length: 25 }, (_, i) => ask(letters.slice(i, i + 34 + i), ["ab", "q", letters.slice(i, i + 1)], i % 3));
  const alone = [];
  for (const question of questions) alone.push(...(await answerQuestions(input, encoder, [question])));
  expect(await answerQuestions(input, encoder, questions)).toEqual(alone);
});

test("a question longer than the model is refused", async () => {
  const model = await openModel(tinySource());
  const long = ask("a".repeat(70), ["b", "c"], 0);
  await expect(answerQuestions({ ops: createCpuOps(), model, emit: () => {} }, encoder, [long])).rejects.toThrow(
    "question 1 has 72 tokens, but the model knows only 64 positions",
  );
});

test("a run's answers are those of the checkpoint that it exports", async () => {
  const ops = createCpuOps();
  const model = await openModel(tinySource());
  const input = { ops, model, emit: () => {} };
  const recipe = recipeWith({ bits: 2 });
  const result = await run({ ...input, tokens: tinyTokens(), recipe });
  const sink = memorySink();
  await exportCheckpoint({ model, ...result, evaluations: [], sink });
  const exported = await openModel(
    memorySource(
      "out",
      [...sink.files].map(([name, bytes]) => bytesFile(name, bytes)),
    ),
  );
  const letters = "abcdefghijklmnop";
  const questions = Array.from({ length: 24 }, (_, i) =>
    ask(letters.slice(i % 9, (i % 9) + 5), [letters[i % 16], letters[(i * 5 + 3) % 16]], 0),
  );
  const of = (more: Partial<Parameters<typeof answerQuestions>[0]>) => answerQuestions({ ...input, ...more }, encoder, questions);
  const [before, after, asExported] = [await of({}), await of({ quantized: result.quantized }), await of({ model: exported })];
  expect(after).toEqual(asExported);
  expect(after).not.toEqual(before);
  expect(ops.liveBytes).toBe(0);
});

test("changes count who lost and who won, with the error of paired answers", () => {
  const answers = (rights: string, kind = "k") => [...rights].map((c) => ({ kind, right: c === "1", normalizedRight: true }));
  const [k, all] = changesOf(answers("1111000011"), answers("1001100011"));
  expect(k).toMatchObject({ kind: "k", questions: 10, accuracy: { before: 0.6, after: 0.5, lost: 2, won: 1 } });
  // By hand: of ten differences two are −1 and one is 1; their mean is −0.1 and their variance 0.3 − 0.01.
  expect(k.accuracy.error).toBeCloseTo(Math.sqrt(0.29 / 10), 12);
  expect(k.normalizedAccuracy).toEqual({ before: 1, after: 1, lost: 0, won: 0, error: 0, chance: 1 });
  // Of eight coins all, or 6 of 8, alike; and what would underflow as a plain product.
  const chance = (before: string, after: string) => changesOf(answers(before), answers(after))[0].accuracy.chance;
  expect(chance("11111111", "00000000")).toBeCloseTo(2 / 256, 12);
  expect(chance("11111100", "00000011")).toBeCloseTo((2 * (1 + 8 + 28)) / 256, 12);
  expect(chance("1".repeat(2000), "0".repeat(1000) + "1".repeat(1000))).toBeLessThan(1e-200);
  expect(all.kind).toBe("all");
  expect(scoresOf(answers("1100"))[0].accuracyError).toBe(0.25);
  expect(scoresOf(answers("10", "all")).map((s) => [s.kind, s.questions])).toEqual([["all", 2]]);
});
