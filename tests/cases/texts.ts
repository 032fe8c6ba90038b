/** Texts as people have them: what is read and what is refused. docs/checkpoints.md is made from this list. */
import { gzipSync } from "node:zlib";

export interface TextCase {
  what: string;
  name: string;
  content: string | Uint8Array;
  /** What is read. */
  documents?: readonly string[];
  /** A part of the sentence that refuses it. */
  says?: string;
  field?: string;
}

const two = ["One.", "Two, three."];
const rows = (field: string) => two.map((text) => ({ [field]: text, id: 7 }));
const lines = (list: readonly unknown[], end = "\n") => list.map((row) => JSON.stringify(row)).join(end);
const utf8 = (text: string) => new TextEncoder().encode(text);
const utf16 = (text: string) => {
  const words = Uint16Array.from(`\uFEFF${text}`, (c) => c.charCodeAt(0));
  return new Uint8Array(words.buffer);
};
const chat = [
  { role: "user", content: "Hi" },
  { role: "assistant", content: "Ho" },
];

export const textCases: readonly TextCase[] = [
  { what: "Plain text", name: "a.txt", content: "One.\nTwo.", documents: ["One.\nTwo."] },
  {
    what: "Plain text of any name, or none (WikiText's raw files)",
    name: "wiki.raw",
    content: " \n = Title = \n One.",
    documents: [" \n = Title = \n One."],
  },
  { what: "A byte order mark before it", name: "bom.txt", content: utf8("\uFEFFOne."), documents: ["One."] },
  { what: "UTF-16 with its byte order mark", name: "utf16.txt", content: utf16("One."), documents: ["One."] },
  { what: "JSON lines", name: "a.jsonl", content: lines(rows("text")), documents: two },
  {
    what: "JSON lines with Windows line ends, blank lines or upper-case names",
    name: "A.JSONL",
    content: `${lines(rows("text"), "\r\n\r\n")}\r\n`,
    documents: two,
  },
  { what: "JSON lines with a byte order mark", name: "b.jsonl", content: utf8(`\uFEFF${lines(rows("text"))}`), documents: two },
  {
    what: "JSON lines with Python's NaN",
    name: "n.jsonl",
    content: '{"text":"One.","score":NaN}\n{"text":"Two, three.","score":-Infinity}',
    documents: two,
  },
  { what: "JSON lines under another name", name: "data.txt", content: lines(rows("text")), documents: two },
  {
    what: "A JSON list of objects, also under another name",
    name: "array.txt",
    content: JSON.stringify(rows("text"), null, 1),
    documents: two,
  },
  { what: "A JSON list in a .jsonl", name: "array.jsonl", content: JSON.stringify(rows("text")), documents: two },
  { what: "A JSON list of texts", name: "texts.json", content: JSON.stringify(two), documents: two },
  {
    what: "A JSON object that holds one list",
    name: "data.json",
    content: JSON.stringify({ version: 1, data: rows("text") }),
    documents: two,
  },
  {
    what: "The Hub viewer's rows",
    name: "rows.json",
    content: JSON.stringify({ features: [], rows: rows("text").map((row) => ({ row })) }),
    documents: two,
  },
  { what: "Another of the usual fields for text", name: "c.jsonl", content: lines(rows("content")), documents: two },
  {
    what: "prompt and completion, instruction and output, question and answer",
    name: "p.jsonl",
    content: lines([{ prompt: "One.", completion: "Two." }]),
    documents: ["One.\nTwo."],
  },
  { what: "A field that is named with --text-field", name: "f.jsonl", content: lines(rows("caption")), field: "caption", documents: two },
  { what: "Comma- and tab-separated values", name: "a.csv", content: 'id,text\r\n1,One.\r\n2,"Two, three."\r\n', documents: two },
  { what: "Tab-separated values", name: "a.tsv", content: "id\ttext\n1\tOne.\n2\tTwo, three.\n", documents: two },
  {
    what: "A table under another name, recognised by its header",
    name: "train",
    content: 'id,text\n1,One.\n2,"Two, three."\n',
    documents: two,
  },
  { what: "Any of these packed with gzip", name: "a.jsonl.gz", content: gzipSync(lines(rows("text"))), documents: two },
  {
    what: "Conversations (messages), through the model's chat template",
    name: "m.jsonl",
    content: lines([{ messages: chat }]),
    documents: ["<user>Hi<assistant>Ho"],
  },
  {
    what: "ShareGPT's conversations",
    name: "s.jsonl",
    content: lines([
      {
        conversations: [
          { from: "human", value: "Hi" },
          { from: "gpt", value: "Ho" },
        ],
      },
    ]),
    documents: ["<user>Hi<assistant>Ho"],
  },
  { what: "Plain text that begins as other files do", name: "notes.txt", content: "Version 1.0 of it.", documents: ["Version 1.0 of it."] },
  { what: "Plain text that begins with a bracket", name: "bracket.txt", content: "[Music] One.", documents: ["[Music] One."] },
  {
    what: "Rows without a field that is known to hold text",
    name: "x.jsonl",
    content: lines(rows("caption")),
    says: "x.jsonl, line 1 has no field that is known to hold text; its fields are caption, id",
  },
  {
    what: "A field that is not there",
    name: "x.jsonl",
    content: lines(rows("text")),
    field: "body",
    says: "has no field body; its fields are text, id",
  },
  {
    what: "A row whose text is null",
    name: "null.jsonl",
    content: `${lines(rows("text"))}\n{"text":null}`,
    says: "null.jsonl, line 3: text is null",
  },
  {
    what: "A row whose text is a number",
    name: "num.jsonl",
    content: '{"text":5}',
    says: "num.jsonl, line 1: text is of type number, not text",
  },
  { what: "A line that is not JSON", name: "bad.jsonl", content: '{"text":"One."}\nnope', says: "bad.jsonl, line 2 is not valid JSON" },
  { what: "A .json that is not JSON", name: "bad.json", content: "{nope", says: "bad.json is not valid JSON" },
  {
    what: "A row of a .csv that is too short",
    name: "bad.csv",
    content: "id,text\n1,One.\n2\n",
    says: "bad.csv, row 3 has 1 field, but the first row has 2",
  },
  {
    what: "JSON that is cut off, under another name",
    name: "a.txt",
    content: '[{"text": "one"}, {"text": "two"',
    says: "a.txt is not valid JSON",
  },
  {
    what: "JSON lines that are damaged, under another name",
    name: "b.txt",
    content: '{"text":"One."}\n{"text":"Tw',
    says: "b.txt is not valid JSON",
  },
  {
    what: "Binary data, or UTF-16 without its byte order mark",
    name: "w.txt",
    content: Uint8Array.of(0x41, 0, 0x42, 0),
    says: "w.txt is not text: it holds zero bytes",
  },
  {
    what: "A Git LFS pointer or a web page in place of a text",
    name: "l.txt",
    content: "version https://git-lfs.github.com/spec/v1\noid",
    says: "l.txt is a Git LFS pointer",
  },
  {
    what: "Text that is not UTF-8 (Latin-1)",
    name: "latin1.txt",
    content: Uint8Array.of(0x63, 0x61, 0x66, 0xe9, 0x20),
    says: "latin1.txt is not UTF-8 text",
  },
  {
    what: "A gzip file that is cut off",
    name: "cut.txt.gz",
    content: gzipSync("One. ".repeat(100)).subarray(0, 20),
    says: "cut.txt.gz is not a complete gzip file",
  },
];
