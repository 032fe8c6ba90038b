import { describe, expect, it } from "vitest";
import { QuantError } from "../../src/errors";
import { readHeader } from "../../src/io/header";
import { bytesFile } from "../../src/io/memory";
import { corpus } from "./corpus";

/**
 * What the official Rust reader 0.8.0 accepts and this one refuses on purpose. Each class is recognized by the sentence that
 * the reader gives, so a rejection for any other reason fails the test. Two more limits are too large for this corpus and are
 * tested with the bombs in header.test.ts: more than 64 dimensions, more than 100,000 tensors in one file.
 */
const documented: readonly [string, RegExp][] = [
  // The format says that duplicates are disallowed; Rust keeps the last one.
  ["duplicate key", /given twice/],
  // Rust ignores them. No writer emits them, and two readers of different age would read the file differently.
  ["unknown field", /is unknown or given twice/],
  // The format says that a file's ninth byte is "{"; Rust lets JSON blanks precede it.
  ["blank before {", /header character 0: expected "\{" but found "[ \uFFFD]"/],
  // serde reads a struct from an array of its fields, an enum from an object: accidents of that library.
  ["array for entry", /expected "\{" but found "\["/],
  ["object for dtype", /expected a string but found "\{"/],
  // Legal dtypes of newer files that nothing here can read: refused with their own code.
  ["foreign dtype", /^unsupported-dtype: /],
  // Beyond 2^53 - 1 a number is not exact in JavaScript; only tensors without elements can carry one (Rust: up to 2^64 - 1).
  ["number beyond 2^53", /larger than 2\^53|takes Infinity bytes/],
];

/** null when accepted, else `code: where`. */
async function verdict(bytes: Uint8Array): Promise<string | null> {
  try {
    await readHeader(bytesFile("m.safetensors", bytes));
    return null;
  } catch (e) {
    if (!(e instanceof QuantError)) throw e;
    return `${e.code}: ${e.where}`;
  }
}

describe("10,000 header mutants against the official Rust reader", async () => {
  const samples = corpus();
  const results: (string | null)[] = [];
  for (const s of samples) results.push(await verdict(s.bytes));

  it("holds 10,000 files, a good part of them legal", () => {
    expect(samples.length).toBe(10_000);
    expect(samples.filter((s) => s.accepted).length).toBeGreaterThan(3000);
  });

  it("accepts nothing that Rust rejects", () => {
    const wrong = samples.filter((s, i) => results[i] === null && !s.accepted).map((s) => Buffer.from(s.bytes).toString("latin1"));
    expect(wrong).toEqual([]);
  });

  it("rejects what Rust accepts only in the documented classes, all of which occur", () => {
    const reasons = results.filter((r, i): r is string => r !== null && samples[i].accepted);
    expect(reasons.filter((r) => !documented.some(([, pattern]) => pattern.test(r)))).toEqual([]);
    expect(documented.filter(([, pattern]) => !reasons.some((r) => pattern.test(r))).map(([name]) => name)).toEqual([]);
    expect(reasons.length).toBeLessThan(samples.length / 10);
  });

  it("gives every rejection one of the reader's codes and a place", () => {
    for (const r of results)
      if (r !== null) expect(r).toMatch(/^(bad-safetensors|truncated|header-too-large|unsupported-dtype): m\.safetensors/);
  });
});
