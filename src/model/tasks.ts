import { QuantError } from "../errors";
import type { DataRow, ReadParquet } from "../io/parquet";
import { shown } from "../io/text";
import type { SourceFile } from "../io/types";
import { csvRows } from "./csv";
import { columns, isUnlabelled, type Question, questionOf } from "./question";
import { decodeText } from "./text-file";

const mostBytes = 64 * 2 ** 20;

/**
 * The questions of a task file: .parquet, .csv with a header, or .jsonl, with the fields of our own files, ARC's, PIQA's or StoryCloze's.
 * @throws QuantError `bad-json` or `bad-file` naming the line or row, `text-too-short` where there are none.
 */
export async function readQuestions(file: SourceFile, readParquet: ReadParquet): Promise<Question[]> {
  if (file.name.toLowerCase().endsWith(".parquet")) return questionsOf(file.name, "row", await readParquet(file, columns), 1);
  if (file.size > mostBytes)
    throw new QuantError("bad-file", `${shown(file.name)} is larger than 64 MB`, "Give a file with fewer questions.");
  return parseQuestions(file.name, decodeText(file.name, await file.read(0, file.size)));
}

/** As `readQuestions`, of a file that is text. */
export function parseQuestions(name: string, text: string): Question[] {
  if (!name.toLowerCase().endsWith(".csv")) return questionsOf(name, "line", linesOf(name, text), 1);
  const [header = [], ...rows] = csvRows(text);
  const short = rows.findIndex((row) => row.length < header.length);
  if (short >= 0) throw unknown(name, `line ${short + 2}`);
  return questionsOf(
    name,
    "line",
    rows.map((row) => Object.fromEntries(header.map((title, c) => [title, row[c]]))),
    2,
  );
}

/** A null row is a blank line: it counts in line numbers and holds no question. */
function questionsOf(name: string, unit: string, rows: readonly (DataRow | null)[], first: number): Question[] {
  const kind = shown(name.replace(/\.[^.]*$/, ""));
  const questions = rows.flatMap((row, i) => {
    if (row === null) return [];
    const question = questionOf(row, kind);
    if (!question) throw (isUnlabelled(row) ? unlabelled : unknown)(name, `${unit} ${i + first}`);
    return [question];
  });
  if (!questions.length)
    throw new QuantError(
      "text-too-short",
      `${shown(name)} holds no questions`,
      "Give a .jsonl, .csv or .parquet file with one question per line or row.",
    );
  return questions;
}

function linesOf(name: string, text: string): (DataRow | null)[] {
  return text.split("\n").map((line, i) => {
    if (!line.trim()) return null;
    try {
      // Other valid JSON than an object becomes an empty or foreign object, which is then refused as not being a question.
      return Object(JSON.parse(line)) as DataRow;
    } catch {
      throw new QuantError("bad-json", `${shown(name)}, line ${i + 1}`, "One JSON object per line is expected.");
    }
  });
}

const unknown = (name: string, at: string) =>
  new QuantError(
    "bad-file",
    `${shown(name)}, ${at} is not a question in a known form`,
    "Our own, ARC's, PIQA's (with labels) and StoryCloze's files can be read.",
  );

const unlabelled = (name: string, at: string) =>
  new QuantError(
    "bad-file",
    `${shown(name)}, ${at} is a PIQA question without its answer`,
    'PIQA publishes the answers in a file of their own (train-labels.lst, valid-labels.lst), one per line: add each to its question as "label", or give the validation set as .parquet, which has them. The test set’s are not published.',
  );
