import { describe, expect, test } from "vitest";
import { parseQuestions } from "../../src/model/tasks";

describe("questions", () => {
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
    const q = { goal: "Cool soup", sol1: "Blow.", sol2: "Heat.", label: 0 };
    expect(parseQuestions("piqa.jsonl", JSON.stringify(q))[0]).toMatchObject({
      context: "Question: Cool soup\nAnswer:",
      choices: [" Blow.", " Heat."],
      answer: 0,
    });
  });

  test("of StoryCloze, with quoted commas, quotes and line breaks", () => {
    const header =
      "InputStoryid,InputSentence1,InputSentence2,InputSentence3,InputSentence4,RandomFifthSentenceQuiz1,RandomFifthSentenceQuiz2,AnswerRightEnding";
    const row = '7,One.,"Two, too.","He said ""three"".","Four\nlines.",Good end.,Bad end.,2';
    expect(parseQuestions("cloze.csv", `${header}\r\n${row}\r\n`)).toEqual([
      { kind: "cloze", context: 'One. Two, too. He said "three". Four\nlines.', choices: [" Good end.", " Bad end."], answer: 1 },
    ]);
  });

  test.each([
    ["a.jsonl", "{", "a.jsonl, line 1"],
    ["a.jsonl", '{"context":"x","choices":["a","b"],"answer":2}', "line 1 is no question"],
    ["a.jsonl", '{"goal":"x","sol1":"a","sol2":"b"}', "line 1 is no question"],
    ["a.jsonl", "null", "line 1 is no question"],
    ["a.csv", "a,b\n1,2", "a.csv, line 1"],
    ["a.jsonl", "\n", "holds no questions"],
  ])("%s %j is refused by line", (name, text, words) => {
    expect(() => parseQuestions(name, text)).toThrow(words);
  });
});
