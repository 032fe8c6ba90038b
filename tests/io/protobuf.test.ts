import { describe, expect, test } from "vitest";
import { bytesField, concat, FieldCount, fieldsOf, floatField, intField, messageField } from "../../src/io/protobuf";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const from = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

describe("a field is written as the specification's examples are", () => {
  test.each([
    ["150", intField(1, 150), "089601"],
    ["0", intField(1, 0), "0800"],
    ["the 20th field", intField(20, 2), "a00102"],
    ["-2", intField(1, -2), "08feffffffffffffffff01"],
    ["the largest of 64 bits", intField(2, 2n ** 63n - 1n), "10ffffffffffffffff7f"],
    ["a text", bytesField(2, "testing"), "120774657374696e67"],
    ["UTF-8", bytesField(2, "é"), "1202c3a9"],
    ["a message", messageField(3, [intField(1, 150)]), "1a03089601"],
    ["a float", floatField(2, 0.25), "150000803e"],
  ])("%s", (_, bytes, want) => expect(hex(bytes)).toBe(want));
});

test("fields come back in their order, numbers as they were, all else as bytes", () => {
  const message = concat([intField(1, 300), intField(1, -2), bytesField(13, "ab"), floatField(2, 1), from("1100000000000000f0")]);
  const fields = [...fieldsOf(message)].map(({ field, value }) => [field, typeof value === "bigint" ? value : hex(value)]);
  expect(fields).toEqual([
    [1, 300n],
    [1, 2n ** 64n - 2n],
    [13, "6162"],
    [2, "0000803f"],
    [2, "00000000000000f0"],
  ]);
});

describe("what is cut off or is no message is refused", () => {
  test.each([
    ["a number without its end", "0896", /cut off/],
    ["a number without an end", "08ffffffffffffffffffff01", /more than ten bytes/],
    ["bytes beyond the end", "12077465", /7 bytes are announced where 2 are left/],
    ["bytes far beyond the end", "12ffffffffffffffff7f", /are announced/],
    ["half a float", "15000080", /4 bytes are announced/],
    ["a group, which nobody writes", "0b", /no wire type 3/],
  ])("%s", (_, text, words) => expect(() => [...fieldsOf(from(text))]).toThrow(words));
});

test("no more than a million fields are read, those of the messages inside among them", () => {
  const fields = new Uint8Array(1_200_000).map((_, i) => (i % 2 ? 1 : 8));
  const count = new FieldCount();
  const read = (message: Uint8Array) => {
    let n = 0;
    for (const _ of fieldsOf(message, count)) n++;
    return n;
  };
  expect(read(fields)).toBe(600_000);
  expect(() => read(fields)).toThrow(/more than 1000000 fields/);
  expect(() => [...fieldsOf(concat([fields, fields]))]).toThrow(/more than 1000000 fields/);
});
