import { QuantError } from "../errors";

/** One multiple-choice question, as text; a choice is scored as the continuation of its context. */
export interface Question {
  /** What the question is about, for a figure a kind; files without kinds have one, their own name. */
  kind: string;
  context: string;
  choices: string[];
  /** Index of the right choice. */
  answer: number;
}

type Json = Record<string, unknown>;

/**
 * Questions of a published task file, by what its lines hold: ours ({context, choices, answer}), ARC ({question: {stem, choices}, answerKey}, or the
 * dataset viewer's {question, choices: {text, label}, answerKey}), PIQA ({goal, sol1, sol2, label}) as .jsonl; StoryCloze as .csv. Prompts as in
 * lm-evaluation-harness.
 * @throws QuantError `bad-json` or `bad-file` naming the line.
 */
export function parseQuestions(name: string, text: string): Question[] {
  const kind = name.replace(/\.[^.]*$/, "");
  const questions = name.toLowerCase().endsWith(".csv") ? storyCloze(name, kind, text) : lines(name, kind, text);
  if (!questions.length)
    throw new QuantError("text-too-short", `${name} holds no questions`, "Give a .jsonl or .csv file with one question a line.");
  return questions;
}

function lines(name: string, kind: string, text: string): Question[] {
  return text.split("\n").flatMap((line, i) => {
    if (!line.trim()) return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new QuantError("bad-json", `${name}, line ${i + 1}`, "One JSON object a line is expected.");
    }
    const question = questionOf(value as Json, kind);
    if (!question) throw unknown(name, i + 1);
    return [question];
  });
}

const unknown = (name: string, line: number) =>
  new QuantError(
    "bad-file",
    `${name}, line ${line} is no question that is known here`,
    "Our own, ARC's, PIQA's (with labels) and StoryCloze's files can be read.",
  );

function questionOf(q: Json, kind: string): Question | null {
  if (typeof q !== "object" || q === null) return null;
  return ours(q, kind) ?? arc(q, kind) ?? piqa(q, kind);
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.length > 1 && value.every((x) => typeof x === "string");

/** Null unless the answer is one of the choices. */
function checked(question: Question): Question | null {
  return question.answer >= 0 && question.answer < question.choices.length ? question : null;
}

function ours(q: Json, kind: string): Question | null {
  if (typeof q.context !== "string" || !isTexts(q.choices) || !Number.isInteger(q.answer)) return null;
  return checked({ kind: typeof q.kind === "string" ? q.kind : kind, context: q.context, choices: q.choices, answer: q.answer as number });
}

function arc(q: Json, kind: string): Question | null {
  const nested = typeof q.question === "object" && q.question !== null ? (q.question as Json) : null;
  const stem = nested ? nested.stem : q.question;
  const given = nested ? nested.choices : q.choices;
  if (typeof stem !== "string" || typeof q.answerKey !== "string" || typeof given !== "object" || given === null) return null;
  const list = Array.isArray(given) ? (given as Json[]) : zip(given as Json);
  const texts = list.map((c) => c.text);
  if (!isTexts(texts)) return null;
  return checked({
    kind,
    context: `Question: ${stem}\nAnswer:`,
    choices: texts.map((t) => ` ${t}`),
    answer: list.findIndex((c) => c.label === q.answerKey),
  });
}

/** {text: [...], label: [...]} as a list of {text, label}. */
function zip({ text, label }: Json): Json[] {
  return Array.isArray(text) && Array.isArray(label) ? text.map((t, i) => ({ text: t, label: label[i] })) : [];
}

function piqa({ goal, sol1, sol2, label }: Json, kind: string): Question | null {
  if (typeof goal !== "string" || typeof sol1 !== "string" || typeof sol2 !== "string" || !Number.isInteger(label)) return null;
  return checked({ kind, context: `Question: ${goal}\nAnswer:`, choices: [` ${sol1}`, ` ${sol2}`], answer: label as number });
}

/** Columns InputSentence1…4, RandomFifthSentenceQuiz1…2, AnswerRightEnding, in any order. */
function storyCloze(name: string, kind: string, text: string): Question[] {
  const [header, ...rows] = csvRows(text);
  const column = (title: string) => header?.indexOf(title) ?? -1;
  const sentences = [1, 2, 3, 4].map((i) => column(`InputSentence${i}`));
  const endings = [1, 2].map((i) => column(`RandomFifthSentenceQuiz${i}`));
  const right = column("AnswerRightEnding");
  if ([...sentences, ...endings, right].includes(-1)) throw unknown(name, 1);
  return rows.map((row, i) => {
    const context = sentences.map((c) => row[c]).join(" ");
    const question = checked({ kind, context, choices: endings.map((c) => ` ${row[c]}`), answer: Number(row[right]) - 1 });
    if (!question || row.length < header.length) throw unknown(name, i + 2);
    return question;
  });
}

/** RFC 4180: fields in quotes may hold commas, line breaks and doubled quotes. */
function csvRows(text: string): string[][] {
  const rows: string[][] = [];
  const field = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/y;
  let row: string[] = [];
  while (field.lastIndex < text.length) {
    const match = field.exec(text);
    if (!match) break;
    row.push(match[1].startsWith('"') ? match[1].slice(1, -1).replaceAll('""', '"') : match[1]);
    if (match[2] === ",") continue;
    if (row.length > 1 || row[0]) rows.push(row);
    row = [];
  }
  if (row.length) rows.push(row);
  return rows;
}
