import { throwIfCancelled } from "../errors";
import type { DataRow } from "../io/parquet";
import { sniff } from "../io/sniff";
import { shown } from "../io/text";
import type { SourceFile } from "../io/types";
import { badText, type ChatMessage, type Document, documentsOfRows, rowsOfText } from "./documents";

/** Work that may take too long or never end, done on another thread, which can be stopped. */
export interface Helper {
  parquet(file: SourceFile, wanted: readonly string[] | null): Promise<DataRow[]>;
  chat(template: string, variables: Record<string, string>, conversations: readonly ChatMessage[][]): Promise<string[]>;
  /** A tokenizer on a thread of its own, which starts with the first text. */
  tokenizer(json: object, config: object): ThreadTokenizer;
}

export interface ThreadTokenizer {
  /** A text's ids. @param isWatched ends it at a deadline. @throws QuantError `bad-tokenizer` then. */
  encode(text: string, special: boolean, isWatched: boolean): Promise<number[]>;
  /** Ends the thread. */
  close(): Promise<void>;
}

export interface TextReading {
  signal?: AbortSignal;
  /** The field that holds the text, where a file has several. */
  field?: string;
  helper?: Helper;
  chatTemplate(): Promise<{ template: string; variables: Record<string, string> } | null>;
}

const mostBytes = 512 * 2 ** 20;

/**
 * The documents of a text file. gzip is unpacked; parquet, JSON, JSON lines, .csv and .tsv hold rows; any other text is one document.
 * @throws QuantError `bad-text` with what was found instead.
 */
export async function* readDocuments(file: SourceFile, reading: TextReading): AsyncGenerator<Document> {
  if (file.size > mostBytes) throw badText(`${shown(file.name)} is larger than 512 MB`, "A part of it is enough.");
  const start = await file.read(0, Math.min(4, file.size));
  if (isParquet(start)) return yield* parquetDocuments(file, reading);
  let name = file.name;
  let bytes = await file.read(0, file.size);
  throwIfCancelled(reading.signal);
  if (start[0] === 0x1f && start[1] === 0x8b) {
    bytes = await gunzip(name, bytes);
    name = name.replace(/\.gz$/i, "");
    if (isParquet(bytes))
      return yield* parquetDocuments({ ...file, name, size: bytes.length, read: async (a, b) => bytes.slice(a, b) }, reading);
  }
  const text = decodeText(name, bytes);
  const rows = rowsOfText(name, text);
  if (rows === null) yield { text };
  else yield* documentsOfRows(rows, rowsReading(name, reading));
}

const isParquet = (bytes: Uint8Array) => [0x50, 0x41, 0x52, 0x31].every((byte, i) => bytes[i] === byte);

async function* parquetDocuments(file: SourceFile, reading: TextReading): AsyncGenerator<Document> {
  if (!reading.helper) throw badText(`${shown(file.name)} is parquet`, "Save it as .jsonl.");
  const rows = await reading.helper.parquet(file, null);
  yield* documentsOfRows(
    rows.map((row, i) => [`row ${i + 1}`, row] as const),
    rowsReading(file.name, reading),
  );
}

const rowsReading = (name: string, reading: TextReading) => ({
  name,
  field: reading.field,
  render: async (conversations: readonly ChatMessage[][]) => {
    const chat = await reading.chatTemplate();
    if (!chat || !reading.helper)
      throw badText(
        `${shown(name)} holds conversations, and the model has no chat template`,
        "Add its tokenizer_config.json or chat_template.jinja, or give plain text.",
      );
    return reading.helper.chat(chat.template, chat.variables, conversations);
  },
});

async function gunzip(name: string, bytes: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const stream = new Blob([bytes as BlobPart]).stream().pipeThrough(new DecompressionStream("gzip"));
    const reader = stream.getReader();
    for (let next = await reader.read(); !next.done && size <= mostBytes; next = await reader.read()) {
      parts.push(next.value);
      size += next.value.length;
    }
  } catch (cause) {
    throw badText(`${shown(name)} is not a complete gzip file`, "Download it again.", cause);
  }
  if (size > mostBytes) throw badText(`${shown(name)} unpacks to more than 512 MB`, "A part of it is enough.");
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Decodes UTF-8, or UTF-16 that begins with a byte order mark. A mark is left out of the text. @throws QuantError `bad-text`. */
export function decodeText(name: string, bytes: Uint8Array): string {
  const other = sniff(bytes.subarray(0, 200));
  // A web page is refused as the wrong download, unless its name says that a page was meant.
  if (other?.isForeign && !/\.html?$/i.test(name)) throw badText(`${shown(name)} is ${other.what}`, other.hint);
  const wide = bytes[0] === 0xff && bytes[1] === 0xfe ? "utf-16le" : bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : null;
  if (!wide && bytes.subarray(0, 4096).includes(0))
    throw badText(
      `${shown(name)} is not text: it holds zero bytes (binary data, or UTF-16 without its byte order mark)`,
      "Save it as UTF-8.",
    );
  try {
    return new TextDecoder(wide ?? "utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw badText(`${shown(name)} is not ${wide ? "UTF-16" : "UTF-8"} text`, "Save it as UTF-8, or give .npy with token ids.", cause);
  }
}
