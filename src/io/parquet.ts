/** Rows of parquet files, read by hyparquet, which is loaded when it is first needed. */
import type { FileMetaData } from "hyparquet";
import { QuantError } from "../errors";
import { shown } from "./text";
import type { SourceFile } from "./types";

export type DataRow = Record<string, unknown>;

/** The argument of `parquetRows`, in a form that another thread can be sent. */
export interface ParquetRequest {
  name: string;
  content: ArrayBuffer;
  /** Null: all columns. */
  wanted: readonly string[] | null;
}

/** Reads a file's rows somewhere that can be ended: a damaged file may keep hyparquet busy for hours. */
export type ReadParquet = (file: SourceFile, wanted: readonly string[] | null) => Promise<DataRow[]>;

const mostBytes = 64 * 2 ** 20;
const mostRows = 1_000_000;
/** What hyparquet unpacks by itself. Other codecs need a wasm module or a dictionary of 80 KB; data sets are published with snappy. */
const codecs = ["UNCOMPRESSED", "SNAPPY"];

const bad = (name: string, problem: string, hint: string, cause?: unknown) =>
  new QuantError("bad-file", `${shown(name)} ${problem}`, hint, { cause });

const damaged = (name: string, detail = "", cause?: unknown) =>
  new QuantError("bad-text", `${shown(name)} is a damaged or incomplete parquet file${detail}`, "Download it again.", { cause });

/** The error where the thread that reads a file fails: out of memory, or its code could not be loaded. */
export const unreadable = (name: string, why: string) =>
  bad(name, `could not be read${why ? `: ${shown(why)}` : ""}`, "Save it as .jsonl, or reload the page and try again.");

/** @throws QuantError `bad-file` for one that is too large. */
export async function parquetRequest(file: SourceFile, wanted: readonly string[] | null): Promise<ParquetRequest> {
  if (file.size > mostBytes) throw bad(file.name, "is larger than 64 MB", "Give a file with fewer rows.");
  return { name: file.name, content: (await file.read(0, file.size)).slice().buffer, wanted };
}

/**
 * The rows as objects, with those of the wanted columns that the file has; 64-bit integers become numbers.
 * @throws QuantError `bad-text` where it is not parquet or damaged, `bad-file` where it is too long, or packed in a way that is not read here.
 */
export async function parquetRows({ name, content, wanted }: ParquetRequest): Promise<DataRow[]> {
  const { parquetMetadata, parquetReadObjects, parquetSchema } = await import("hyparquet");
  try {
    const metadata = parquetMetadata(content);
    check(name, metadata);
    const columns = parquetSchema(metadata).children.map((child) => child.element.name);
    if (!columns.length) throw damaged(name, ": it has no columns");
    const rows = await parquetReadObjects({
      file: content,
      metadata,
      columns: columns.filter((column) => !wanted || wanted.includes(column)),
    });
    return rows.map((row) => numbered(row) as DataRow);
  } catch (cause) {
    if (cause instanceof QuantError) throw cause;
    // A TypeError or RangeError tells of the reader's code, not of the file.
    const detail = cause instanceof Error && cause.name === "Error" ? `: ${shown(cause.message)}` : "";
    throw damaged(name, detail, cause);
  }
}

function check(name: string, { row_groups }: FileMetaData): void {
  const rows = row_groups.reduce((sum, group) => sum + Math.abs(Number(group.num_rows)), 0);
  if (rows > mostRows) throw bad(name, `says that it has ${rows} rows`, "Give a file with fewer rows.");
  const chunks = row_groups.flatMap((group) => group.columns.flatMap((column) => column.meta_data ?? []));
  const codec = chunks.find((chunk) => !codecs.includes(chunk.codec))?.codec;
  if (codec) throw bad(name, `is packed with ${codec}`, "Save it again with snappy, or as .jsonl.");
}

/** Integers such as labels come as BigInt; none that is used here is too large for a number. */
function numbered(value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (Array.isArray(value)) return value.map(numbered);
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, numbered(inner)]));
}
