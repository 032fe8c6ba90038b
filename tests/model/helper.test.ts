/** Threads that answer late, never, or with a failure. The clock is the test's own. */
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type HelperRequest, helperOf, type StartThread } from "../../src/model/helper";
import type { Reply } from "../../src/results/reply";

type Answer = (request: HelperRequest) => unknown;
const never = Symbol("no answer");

/** Threads whose answers are `answer`'s, and what they were sent and how many were ended. */
function threads(answer: Answer) {
  const seen = { kinds: [] as string[], started: 0, ended: 0 };
  const start: StartThread = (reply, fail) => {
    seen.started++;
    return {
      send(request) {
        seen.kinds.push(request.kind);
        const value = answer(request);
        if (value instanceof Error) queueMicrotask(() => fail(value.message));
        else if (value !== never) queueMicrotask(() => reply({ ok: true, value } satisfies Reply<unknown>));
      },
      end: async () => void seen.ended++,
    };
  };
  return { seen, start };
}

const hangsOnTexts: Answer = ({ kind }) => (kind === "encode" ? never : null);
const opened = (answer: Answer, signal = new AbortController().signal) => {
  const { seen, start } = threads(answer);
  return { seen, tokenizer: helperOf(start, signal).tokenizer({}, {}) };
};
const failed = (work: Promise<unknown>) => work.then(() => "it did not fail").catch((e) => e);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

describe("a tokenizer on a thread", () => {
  test("is sent once, and its thread stays until it is closed", async () => {
    const { seen, tokenizer } = opened(({ kind }) => (kind === "encode" ? [1, 2] : null));
    expect(seen.started).toBe(0);
    for (const text of ["a", "b"]) expect(await tokenizer.encode(text, false, true)).toEqual([1, 2]);
    expect(seen).toEqual({ kinds: ["tokenizer", "encode", "encode"], started: 1, ended: 0 });
    await tokenizer.close();
    await tokenizer.close();
    expect(seen.ended).toBe(1);
  });

  test("that does not come to an end is ended, and named", async () => {
    const { seen, tokenizer } = opened(hangsOnTexts);
    const failure = failed(tokenizer.encode("x".repeat(60), false, true));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(await failure).toMatchObject({ code: "bad-tokenizer", about: "text" });
    expect((await failure).message).toMatch(/tokenizer\.json takes longer than 10 s for 60 characters, by steps .* not known here/);
    expect(seen.ended).toBe(1);
  });

  test("has longer for a long text, and as long as it takes where it is not watched", async () => {
    const { tokenizer } = opened(hangsOnTexts);
    const failure = failed(tokenizer.encode("x".repeat(3 * 2 ** 20), false, true));
    await vi.advanceTimersByTimeAsync(39_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect((await failure).message).toMatch(/longer than 40 s/);
    opened(hangsOnTexts).tokenizer.encode("x", false, false);
    await vi.advanceTimersByTimeAsync(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that cannot be set up in time is named", async () => {
    const { tokenizer } = opened(() => never);
    const failure = failed(tokenizer.encode("x", false, false));
    await vi.advanceTimersByTimeAsync(60_000);
    expect((await failure).message).toMatch(/takes longer than 60 s to be set up/);
  });

  test("is ended by a cancel", async () => {
    const controller = new AbortController();
    const { seen, tokenizer } = opened(hangsOnTexts, controller.signal);
    const failure = failed(tokenizer.encode("x", false, true));
    await vi.advanceTimersByTimeAsync(0);
    controller.abort();
    expect(await failure).toMatchObject({ code: "cancelled" });
    expect([seen.ended, vi.getTimerCount()]).toEqual([1, 0]);
  });

  test("whose thread fails says so", async () => {
    const { seen, tokenizer } = opened(({ kind }) => (kind === "encode" ? new Error("out of memory") : null));
    const failure = await failed(tokenizer.encode("x", false, true));
    expect(failure).toMatchObject({ code: "bad-tokenizer", where: "tokenizer.json ends its thread: out of memory" });
    expect(seen.ended).toBe(1);
  });
});

test("a chat template that does not come to an end is ended, and named", async () => {
  const { seen, start } = threads(() => never);
  const failure = failed(helperOf(start, new AbortController().signal).chat("", {}, []));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(await failure).toMatchObject({ code: "bad-text", where: "the model's chat template takes longer than 10 s" });
  expect(seen).toMatchObject({ started: 1, ended: 1 });
});
