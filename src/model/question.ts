/** Rows of published multiple-choice data sets as questions. Prompts as in lm-evaluation-harness. */
import type { DataRow } from "../io/parquet";
import { shown } from "../io/text";

/** One multiple-choice question, as text; a choice is scored as the continuation of its context. */
export interface Question {
  /** Scores are given for each kind. In a file without kinds, all questions have the file's name as their kind. */
  kind: string;
  context: string;
  choices: string[];
  /** Index of the right choice. */
  answer: number;
}

/** Every column that a reader below looks at. */
export const columns = [
  ...["kind", "context", "choices", "answer", "question", "answerKey", "goal", "sol1", "sol2", "label"],
  ...[1, 2, 3, 4].flatMap((i) => [`InputSentence${i}`, `input_sentence_${i}`]),
  ...["RandomFifthSentenceQuiz1", "RandomFifthSentenceQuiz2", "AnswerRightEnding"],
  ...["sentence_quiz1", "sentence_quiz2", "answer_right_ending"],
];

/** The question in a row in our own form, ARC's, PIQA's or StoryCloze's; null for any other row, and where the answer is not one of the choices. */
export function questionOf(row: unknown, kind: string): Question | null {
  if (typeof row !== "object" || row === null) return null;
  const question =
    ours(row as DataRow, kind) ?? arc(row as DataRow, kind) ?? piqa(row as DataRow, kind) ?? storyCloze(row as DataRow, kind);
  return question && question.answer >= 0 && question.answer < question.choices.length ? question : null;
}

/** Whether a row is a PIQA question without its answer. PIQA publishes the labels in a separate file; the parquet of its test set has −1. */
export const isUnlabelled = (row: unknown): boolean =>
  typeof row === "object" &&
  row !== null &&
  "goal" in row &&
  "sol1" in row &&
  (!("label" in row) || row.label === null || row.label === -1);

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 1 && value.every((x) => typeof x === "string");

function ours({ kind, context, choices, answer }: DataRow, file: string): Question | null {
  if (typeof context !== "string" || !isTexts(choices) || !Number.isInteger(answer)) return null;
  return { kind: typeof kind === "string" ? shown(kind) : file, context, choices, answer: answer as number };
}

/** {question: {stem, choices}, answerKey} as published, or {question, choices: {text, label}, answerKey} as on the Hub. */
function arc(q: DataRow, kind: string): Question | null {
  const nested = typeof q.question === "object" && q.question !== null ? (q.question as DataRow) : null;
  const stem = nested ? nested.stem : q.question;
  const given = nested ? nested.choices : q.choices;
  if (typeof stem !== "string" || typeof q.answerKey !== "string" || typeof given !== "object" || given === null) return null;
  const list = Array.isArray(given) ? given.filter((c): c is DataRow => typeof c === "object" && c !== null) : zip(given as DataRow);
  const texts = list.map((c) => c.text);
  if (!isTexts(texts)) return null;
  return { kind, context: promptOf(stem), choices: texts.map((t) => ` ${t}`), answer: list.findIndex((c) => c.label === q.answerKey) };
}

/** {text: [...], label: [...]} as a list of {text, label}. */
function zip({ text, label }: DataRow): DataRow[] {
  return Array.isArray(text) && Array.isArray(label) ? text.map((t, i) => ({ text: t, label: label[i] })) : [];
}

function piqa({ goal, sol1, sol2, label }: DataRow, kind: string): Question | null {
  // In a .csv the label is text.
  const answer = label === "0" || label === "1" ? Number(label) : label;
  if (typeof goal !== "string" || typeof sol1 !== "string" || typeof sol2 !== "string" || !Number.isInteger(answer)) return null;
  return { kind, context: promptOf(goal), choices: [` ${sol1}`, ` ${sol2}`], answer: answer as number };
}

const promptOf = (question: string) => `Question: ${question}\nAnswer:`;

/** The columns of the published .csv, or the Hub's names of them. */
function storyCloze(row: DataRow, kind: string): Question | null {
  const sentences = [1, 2, 3, 4].map((i) => row[`InputSentence${i}`] ?? row[`input_sentence_${i}`]);
  const endings = [1, 2].map((i) => row[`RandomFifthSentenceQuiz${i}`] ?? row[`sentence_quiz${i}`]);
  const right = Number(row.AnswerRightEnding ?? row.answer_right_ending);
  if (!isTexts(sentences) || !isTexts(endings) || !Number.isInteger(right)) return null;
  return { kind, context: sentences.join(" "), choices: endings.map((e) => ` ${e}`), answer: right - 1 };
}
