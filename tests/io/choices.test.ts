import { expect, test } from "vitest";
import { choicesIn } from "../../src/io/choices";
import { memoryScratch } from "../../src/io/scratch";

test("a choice is found again by its key, and by no other; the last one counts", async () => {
  const scratch = memoryScratch();
  const choices = choicesIn(async () => scratch);
  const hostile = "../../NVIDIA: a driver / of “today”";
  expect(await choices.read(hostile)).toBe(null);
  await choices.keep(hostile, "quads");
  await choices.keep(hostile, "tiles of 64 × 64");
  await choices.keep("other", "quads");
  expect(await choicesIn(async () => scratch).read(hostile)).toBe("tiles of 64 × 64");
  expect(await scratch.names()).toHaveLength(2);
  for (const name of await scratch.names()) expect(name).toMatch(/^[0-9a-f]{32}\.txt$/);
});

test("where nothing can be kept, nothing is found, and nothing breaks", async () => {
  const broken = () => Promise.reject(new Error("no storage"));
  for (const choices of [choicesIn(broken), choicesIn(async () => null)]) {
    await choices.keep("a", "b");
    expect(await choices.read("a")).toBe(null);
  }
});
