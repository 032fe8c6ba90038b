import { describe, expect, test } from "vitest";
import { QuantError } from "../../src/errors";
import { summarize } from "../../src/model/summary";
import { openAny } from "../../src/reopen/open";
import { type Case, readCases, refusedCases } from "./checkpoints";

const named = (cases: Case[]) => cases.map((c) => [c.what, c] as const);

describe("read", () => {
  test.each(named(readCases))("%s", async (_, { make, says }) => {
    const { notes } = summarize(await openAny(make()));
    if (says) expect(notes.join("\n")).toContain(says);
    else expect(notes).toEqual([]);
  });
});

describe("refused", () => {
  test.each(named(refusedCases))("%s", async (_, { make, says }) => {
    const error = await openAny(make()).then(
      () => null,
      (e) => e,
    );
    expect(error).toBeInstanceOf(QuantError);
    expect(error.message).toContain(says);
    expect(error.about).toBe("checkpoint");
    expect(error.hint).not.toBe("");
  });
});
