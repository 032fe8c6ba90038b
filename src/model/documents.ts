import { QuantError } from "../errors";
import { parseLoose } from "../io/json";
import type { DataRow } from "../io/parquet";
import { shown, shownList } from "../io/text";
import { csvRows } from "./csv";

/** One text of a file, to be tokenized by itself. */
export interface Document {
  text: string;
  /** A chat template has already written the special tokens into it. */
  templated?: boolean;
}

export interface ChatMessage {
  role: string;
  content: string;
}

/** The fields that may hold a row's text, best first: one field, or several to be joined. */
const forms: readonly (readonly string[])[] = [
  ...["text", "content", "document", "article", "body", "passage", "story", "sentence"].map((field) => [field]),
  ["prompt", "completion"],
  ["prompt", "response"],
  ["instruction", "input", "output"],
  ["instruction", "output"],
  ["instruction", "response"],
  ["question", "answer"],
];
const chats: readonly string[] = ["messages", "conversations", "conversation"];

export const badText = (where: string, hint: string, cause?: unknown) => new QuantError("bad-text", where, hint, { cause });

/** Conversations for one call of `Render`, which starts a thread: that takes longer than rendering one conversation. */
const conversationsAtOnce = 64;

/** Renders conversations through the model's chat template, or throws why it cannot. */
export type Render = (conversations: readonly ChatMessage[][]) => Promise<string[]>;

interface RowsReading {
  name: string;
  /** The field that the person named. */
  field?: string;
  render: Render;
}

/** The documents in a file's rows, one at a time, so that a large file need not be read to its end. @throws QuantError `bad-text` naming row and fields. */
export async function* documentsOfRows(
  rows: Iterable<readonly [string, unknown]>,
  { name, field, render }: RowsReading,
): AsyncGenerator<Document> {
  let form: Form | null = null;
  let waiting: ChatMessage[][] = [];
  const rendered = async () => {
    const texts = await render(waiting);
    waiting = [];
    return texts.map((text) => ({ text, templated: true }));
  };
  for (const [at, row] of rows) {
    const place = `${shown(name)}, ${at}`;
    if (typeof row === "string" && !field) {
      yield { text: row };
      continue;
    }
    if (typeof row !== "object" || row === null || Array.isArray(row))
      throw badText(`${place} is not an object with a text in it`, "Give one object per line or row.");
    form ??= formOf(row as DataRow, place, field);
    if (form.kind === "text") yield { text: textsOf(row as DataRow, form.fields, place) };
    else if (waiting.push(messagesOf((row as DataRow)[form.field], `${place}, ${form.field}`)) === conversationsAtOnce)
      yield* await rendered();
  }
  if (waiting.length) yield* await rendered();
}

const textsOf = (row: DataRow, fields: readonly string[], place: string): string =>
  fields
    .map((field) => textOf(row, field, place))
    .filter(Boolean)
    .join("\n");

type Form = { kind: "text"; fields: readonly string[] } | { kind: "chat"; field: string };

function formOf(row: DataRow, place: string, field?: string): Form {
  const has = (name: string) => Object.hasOwn(row, name);
  if (field !== undefined) {
    if (!has(field)) throw noField(row, place, `has no field ${shown(field)}`);
    return Array.isArray(row[field]) ? { kind: "chat", field } : { kind: "text", fields: [field] };
  }
  const chat = chats.find((name) => Array.isArray(row[name]));
  const fields = forms.find((names) => names.every(has));
  if (fields) return { kind: "text", fields };
  if (chat) return { kind: "chat", field: chat };
  throw noField(row, place, "has no field that is known to hold text");
}

const noField = (row: DataRow, place: string, what: string) =>
  badText(
    `${place} ${what}; its fields are ${shownList(Object.keys(row), 12) || "none"}`,
    "Name the one that holds the text (--text-field on the command line), or call it text.",
  );

function textOf(row: DataRow, field: string, place: string): string {
  const value = row[field];
  if (typeof value !== "string")
    throw badText(
      `${place}: ${shown(field)} is ${value === null ? "null" : value === undefined ? "missing" : `of type ${typeof value}, not text`}`,
      "Leave such rows out, or give them a text.",
    );
  return value;
}

/** [{role, content}], or ShareGPT's [{from, value}]. */
function messagesOf(value: unknown, place: string): ChatMessage[] {
  const roles: Record<string, string> = { human: "user", gpt: "assistant" };
  if (!Array.isArray(value)) throw badText(`${place} is not a list of messages`, "Each is {role, content} or {from, value}.");
  return value.map((message: DataRow | null, i) => {
    const role = message?.role ?? message?.from;
    const content = message?.content ?? message?.value;
    if (typeof role !== "string" || typeof content !== "string")
      throw badText(`${place}: message ${i + 1} has no role and text`, "Each is {role, content} or {from, value}.");
    return { role: roles[role] ?? role, content };
  });
}

/** The rows of a decoded text file, each with its place in it; null for one plain text. Only .csv, .tsv and .jsonl files go by name, the last unless it begins with "[". */
export function rowsOfText(name: string, text: string): Iterable<readonly [string, unknown]> | null {
  const lower = name.toLowerCase();
  if (/\.(csv|tsv)$/.test(lower)) return csvDocuments(name, text, lower.endsWith(".tsv") ? "\t" : ",");
  const start = text.trimStart()[0];
  if (/\.(jsonl|ndjson)$/.test(lower) && start !== "[") return lines(name, text);
  const isJson = /\.(json|jsonl|ndjson)$/.test(lower);
  if (start !== "{" && start !== "[") {
    const separator = isJson ? null : separatorOf(text);
    if (separator) return csvDocuments(name, text, separator);
    if (isJson && text.trim()) throw badText(`${shown(name)} is not JSON`, "Correct it, or call it .txt if it is plain text.");
    return null;
  }
  if (start === "{" && looksLikeLines(text)) return lines(name, text);
  const value = tryParse(text);
  if (value === undefined) {
    if (isJson || /^\s*\[?\s*\{\s*"/.test(text))
      throw badText(`${shown(name)} is not valid JSON`, "Correct it, or give one object per line.");
    return null;
  }
  return jsonRows(name, value);
}

/** The separator of a table that is not called .csv or .tsv: its first line names a field that may hold text, and its second is as wide. Else null. */
function separatorOf(text: string): string | null {
  const head = text.slice(0, 65_536);
  for (const separator of [",", "\t"]) {
    const [header, row] = csvRows(head, separator);
    const names = header?.map((title) => title.trim());
    if (row && names.length > 1 && names.length === row.length && forms.some((fields) => fields.every((f) => names.includes(f))))
      return separator;
  }
  return null;
}

function tryParse(text: string): unknown {
  try {
    return parseLoose(text);
  } catch {
    return undefined;
  }
}

/** The first two lines that are not blank are whole objects. */
function looksLikeLines(text: string): boolean {
  const first: string[] = [];
  for (const [, line] of linesOf(text)) if (line.trim() && first.push(line) === 2) break;
  return first.length === 2 && first.every((line) => typeof tryParse(line) === "object");
}

/** Lines with their numbers, counting from 1; one at a time, so that they are not all in memory at once. */
function* linesOf(text: string): Generator<readonly [number, string]> {
  for (let at = 0, number = 1; at < text.length; number++) {
    const end = text.indexOf("\n", at);
    yield [number, text.slice(at, end < 0 ? text.length : end)];
    at = end < 0 ? text.length : end + 1;
  }
}

function* lines(name: string, text: string): Generator<readonly [string, unknown]> {
  for (const [number, line] of linesOf(text)) {
    if (!line.trim()) continue;
    const row = tryParse(line);
    if (row === undefined) throw badText(`${shown(name)}, line ${number} is not valid JSON`, "A .jsonl file has one JSON object per line.");
    yield [`line ${number}`, row];
  }
}

/** The rows of a JSON value: a list, an object that holds a list of rows, or a single row. */
function jsonRows(name: string, value: unknown): Iterable<readonly [string, unknown]> {
  const numbered = (list: readonly unknown[]) => list.map((row, i) => [`row ${i + 1}`, row] as const);
  if (Array.isArray(value)) return numbered(value);
  const object = Object(value) as DataRow;
  if (forms.some((fields) => fields.every((f) => typeof object[f] === "string")) || chats.some((f) => Array.isArray(object[f])))
    return numbered([object]);
  const lists = Object.entries(object).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]) && entry[1].length > 0);
  const named =
    lists.find(([key]) => /^(data|rows|train|examples|documents|text)$/.test(key)) ?? (lists.length === 1 ? lists[0] : undefined);
  if (!named)
    throw badText(
      `${shown(name)} is an object without one list of rows; its fields are ${shownList(Object.keys(object), 12) || "none"}`,
      "Give a list of objects, or one object per line.",
    );
  return numbered(named[1].map((row) => Object(row)?.row ?? row));
}

function* csvDocuments(name: string, text: string, separator: string): Generator<readonly [string, unknown]> {
  const [header, ...rows] = csvRows(text, separator);
  for (const [i, row] of rows.entries()) {
    if (row.length < header.length)
      throw badText(
        `${shown(name)}, row ${i + 2} has ${row.length} ${row.length === 1 ? "field" : "fields"}, but the first row has ${header.length}`,
        "Correct the file.",
      );
    yield [`row ${i + 2}`, Object.fromEntries(header.map((title, c) => [title, row[c]]))];
  }
}
