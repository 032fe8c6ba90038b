import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bytesFile } from "../../src/io/memory";
import { parquetRequest, parquetRows } from "../../src/io/parquet";
import { parseQuestions, readQuestions } from "../../src/model/tasks";
import { arc, parquet } from "../support/parquet";

const piqa = { goal: "Cool soup", sol1: "Blow.", sol2: "Heat.", label: 0 };
const soup = { kind: "piqa", context: "Question: Cool soup\nAnswer:", choices: [" Blow.", " Heat."], answer: 0 };

describe("questions of text files", () => {
  test("of our own file", () => {
    const line = JSON.stringify({ kind: "who", context: "Who?", choices: [" A.", " B."], answer: 1 });
    expect(parseQuestions("tasks.jsonl", `${line}\n\n`)).toEqual([{ kind: "who", context: "Who?", choices: [" A.", " B."], answer: 1 }]);
  });

  test("of ARC, as published and as the dataset viewer gives it", () => {
    const published = {
      question: {
        stem: "Why?",
        choices: [
          { text: "so", label: "A" },
          { text: "no", label: "B" },
        ],
      },
      answerKey: "B",
    };
    const viewed = { question: "Why?", choices: { text: ["so", "no"], label: ["1", "2"] }, answerKey: "2" };
    for (const q of [published, viewed])
      expect(parseQuestions("ARC-Easy.jsonl", JSON.stringify(q))).toEqual([
        { kind: "ARC-Easy", context: "Question: Why?\nAnswer:", choices: [" so", " no"], answer: 1 },
      ]);
  });

  test("of PIQA with labels", () => {
    expect(parseQuestions("piqa.jsonl", JSON.stringify(piqa))).toEqual([soup]);
    expect(parseQuestions("piqa.csv", "goal,sol1,sol2,label\nCool soup,Blow.,Heat.,0\n")).toEqual([soup]);
  });

  test("of StoryCloze, with quoted commas, quotes and line breaks", () => {
    const header =
      "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,RandomFifthSentenceQuiz1,RandomFifthSentenceQuiz2,AnswerRightEnding";
    const row = '7,One.,"Two, too.","He said ""three"".","Four\nlines.",Good end.,Bad end.,2';
    expect(parseQuestions("cloze.csv", `${header}\r\n${row}\r\n`)).toEqual([
      { kind: "cloze", context: 'One. Two, too. He said "three". Four\nlines.', choices: [" Good end.", " Bad end."], answer: 1 },
    ]);
    expect(() => parseQuestions("cloze.csv", `${header}\n${row}\n8,One.\n`)).toThrow("cloze.csv, line 3 is not a question");
  });

  test("a hostile kind stays one short line of text", () => {
    const line = JSON.stringify({ kind: `a\u202e\n${"x".repeat(500)}`, context: "Who?", choices: [" A.", " B."], answer: 1 });
    expect(parseQuestions("tasks.jsonl", line)[0].kind).toMatch(/^a\ufffd\ufffdx{76}…$/);
  });

  test.each([
    ["a.jsonl", "{", "a.jsonl, line 1"],
    ["a.jsonl", '{"context":"x","choices":["a","b"],"answer":2}', "line 1 is not a question"],
    ["a.jsonl", `\n${JSON.stringify({ ...piqa, label: undefined })}`, "a.jsonl, line 2 is a PIQA question without its answer"],
    ["a.jsonl", JSON.stringify({ question: "Why?", choices: [null, { text: "so", label: "A" }], answerKey: "A" }), "a.jsonl, line 1"],
    ["a.jsonl", JSON.stringify({ ...piqa, label: -1 }), "PIQA publishes the answers in a file of their own"],
    ["a.jsonl", "null", "line 1 is not a question"],
    ["a.csv", "a,b\n1,2", "a.csv, line 2 is not a question"],
    ["a.jsonl", "\n", "holds no questions"],
    ["a.csv", "", "holds no questions"],
  ])("%s %j is refused by line", (name, text, words) => {
    expect(() => parseQuestions(name, text)).toThrow(words);
  });
});

describe("questions of parquet files", () => {
  const read = (name: string, bytes: Uint8Array) =>
    readQuestions(bytesFile(name, bytes), async (file, wanted) => parquetRows(await parquetRequest(file, wanted)));

  test("of ARC: a struct of two lists", async () => {
    const bytes = arc([
      { question: "Why?", choices: { text: ["so", "no"], label: ["A", "B"] }, answerKey: "B" },
      { question: "How?", choices: { text: ["thus", "not", "else"], label: ["1", "2", "3"] }, answerKey: "1" },
    ]);
    expect(await read("ARC-Easy.parquet", bytes)).toEqual([
      { kind: "ARC-Easy", context: "Question: Why?\nAnswer:", choices: [" so", " no"], answer: 1 },
      { kind: "ARC-Easy", context: "Question: How?\nAnswer:", choices: [" thus", " not", " else"], answer: 0 },
    ]);
  });

  test("of ARC, written by pyarrow", async () => {
    const questions = await read("arc.parquet", readFileSync(new URL("../fixtures/arc.parquet", import.meta.url)));
    expect(questions.map((q) => [q.context, q.choices, q.answer])).toEqual([
      ["Question: Why?\nAnswer:", [" so", " no"], 1],
      ["Question: How?\nAnswer:", [" x", " y", " z"], 2],
    ]);
  });

  test.each(["INT32", "INT64"] as const)("of PIQA, labels as %s", async (type) => {
    const label = { name: "label", type, data: type === "INT64" ? [0n, 1n] : [0, 1] };
    const strings = [piqa.goal, piqa.sol1, piqa.sol2].map((value, i) => ({ name: ["goal", "sol1", "sol2"][i], data: [value, value] }));
    expect(await read("piqa.PARQUET", parquet([...strings, label]))).toEqual([soup, { ...soup, answer: 1 }]);
    await expect(read("piqa.parquet", parquet([...strings, { ...label, data: label.data.map((x) => -x) as never }]))).rejects.toThrow(
      "piqa.parquet, row 2 is a PIQA question without its answer",
    );
    await expect(read("piqa.parquet", parquet(strings))).rejects.toThrow("row 1 is a PIQA question without its answer");
  });

  test("of StoryCloze, by the Hub's column names, among columns that nobody asked for", async () => {
    const columns = [
      ...[1, 2, 3, 4].map((i) => ({ name: `input_sentence_${i}`, data: [`S${i}.`] })),
      ...[1, 2].map((i) => ({ name: `sentence_quiz${i}`, data: [`E${i}.`] })),
      { name: "answer_right_ending", data: [2], type: "INT32" as const },
      { name: "__proto__", data: ["polluted"] },
    ];
    expect(await read("cloze.parquet", parquet(columns))).toEqual([
      { kind: "cloze", context: "S1. S2. S3. S4.", choices: [" E1.", " E2."], answer: 1 },
    ]);
  });

  test("what cannot be read is said", async () => {
    const whole = parquet([{ name: "goal", data: ["a", "b"] }]);
    await expect(read("a.parquet", whole)).rejects.toThrow("a.parquet, row 1 is not a question in a known form");
    await expect(read("a.parquet", whole.subarray(0, 40))).rejects.toThrow("a.parquet is a damaged or incomplete parquet file");
    await expect(read("a.parquet", new Uint8Array())).rejects.toThrow("a.parquet is a damaged or incomplete parquet file");
    const packed = parquet([{ name: "goal", data: ["a"] }], { codec: "ZSTD", compressors: { ZSTD: (b: Uint8Array) => b } });
    await expect(read("a.parquet", packed)).rejects.toThrow("a.parquet is packed with ZSTD. Save it again with snappy, or as .jsonl.");
  });
});
