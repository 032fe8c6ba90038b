import { expect, test } from "vitest";
import { memoryOf } from "../../src/cli/args";

test.each([
  ["2GiB", 2 ** 31],
  ["2", 2 ** 31],
  ["1.5 GB", 1.5 * 2 ** 30],
  ["1500MiB", 1500 * 2 ** 20],
  ["1500m", 1500 * 2 ** 20],
  ["131072k", 2 ** 27],
])("--gpu-memory %s", (text, bytes) => {
  expect(memoryOf(text)).toBe(bytes);
});

test("--gpu-memory is optional, and what is no size, or too small a one, is refused with words", () => {
  expect(memoryOf(undefined)).toBe(null);
  for (const text of ["", "much", "2TB", "-1", "1.2.3G", "NaN", "2 3"])
    expect(() => memoryOf(text)).toThrow(/not a size\. Write it as 2GiB/);
  for (const text of ["1MB", "63MiB", "0"]) expect(() => memoryOf(text)).toThrow(/Allow at least 64 MiB/);
});
