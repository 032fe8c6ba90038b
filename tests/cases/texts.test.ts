import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { QuantError } from "../../src/errors";
import { bytesFile } from "../../src/io/memory";
import { parquetRequest, parquetRows } from "../../src/io/parquet";
import type { SourceFile } from "../../src/io/types";
import { doRequest } from "../../src/model/helper";
import { type Helper, readDocuments } from "../../src/model/text-file";
import { parquet } from "../support/parquet";
import { textCases } from "./texts";

const helper: Helper = {
  parquet: async (file, wanted) => parquetRows(await parquetRequest(file, wanted)),
  chat: (template, variables, conversations) => doRequest({ kind: "chat", template, variables, conversations }) as Promise<string[]>,
  tokenizer: () => ({ encode: async () => [], close: async () => {} }),
};
const chatTemplate = async () => ({ template: "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}", variables: {} });

async function read(
  file: SourceFile,
  field?: string,
  template: typeof chatTemplate | (() => Promise<null>) = chatTemplate,
): Promise<string[]> {
  const out: string[] = [];
  for await (const { text } of readDocuments(file, { field, helper, chatTemplate: template })) out.push(text);
  return out;
}

test.each(textCases.map((c) => [c.what, c] as const))("%s", async (_, { name, content, documents, says, field }) => {
  const got = read(bytesFile(name, content), field);
  if (documents) expect(await got).toEqual(documents);
  else await expect(got).rejects.toMatchObject({ code: "bad-text", about: "text", message: expect.stringContaining(says!) });
});

describe("parquet", () => {
  const arc = readFileSync(new URL("../fixtures/arc.parquet", import.meta.url));

  test("is told by its content, gzipped too, and its fields are named", async () => {
    await expect(read(bytesFile("a.bin", arc))).rejects.toThrow(/row 1 has no field.*its fields are .*question/);
    expect(await read(bytesFile("a.bin", gzipSync(arc)), "question")).toHaveLength(2);
  });
});

test("many conversations are rendered in few calls, because each starts a thread, and stay in order", async () => {
  const names = Array.from({ length: 150 }, (_, i) => `u${i}`);
  let calls = 0;
  const counted: Helper = {
    ...helper,
    chat: (...args) => {
      calls++;
      return helper.chat(...args);
    },
  };
  const file = bytesFile("m.jsonl", names.map((content) => JSON.stringify({ messages: [{ role: "user", content }] })).join("\n"));
  const got: string[] = [];
  for await (const { text, templated } of readDocuments(file, { helper: counted, chatTemplate })) if (templated) got.push(text);
  expect(got).toEqual(names.map((name) => `<user>${name}`));
  expect(calls).toBe(3);
});

test("what fails in the helper is about the text when it crosses back", async () => {
  // An error that could be about any file, unless it is told what this one was given as.
  const columns = [{ name: "text", data: ["One."] }];
  const content = parquet(columns, { codec: "ZSTD", compressors: { ZSTD: (bytes) => bytes } }).slice().buffer;
  const error = await doRequest({ kind: "parquet", name: "a.parquet", content, wanted: null }).catch((e) => QuantError.fromFlat(e.flat()));
  expect(error).toMatchObject({ code: "bad-file", about: "text" });
});

test("conversations without a chat template, or with one that fails, say so", async () => {
  const file = bytesFile("m.jsonl", '{"messages":[{"role":"user","content":"Hi"}]}');
  await expect(read(file, undefined, async () => null)).rejects.toThrow("m.jsonl holds conversations, and the model has no chat template");
  await expect(read(file, undefined, async () => ({ template: "{{ raise_exception('no') }}{% bad", variables: {} }))).rejects.toThrow(
    /chat template fails/,
  );
});
