import { promisify } from "node:util";
import { afterEach, expect, test, vi } from "vitest";
import { waitPatiently } from "../../src/ops/gpu/polling";

const immediate = globalThis.setImmediate;
afterEach(() => {
  vi.restoreAllMocks();
  globalThis.setImmediate = immediate;
});

/** A chain of immediates, each set by the one before, until `isOver`. A bound function looks native, as the addon's are. */
function chain(bound: boolean, isOver: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const link = () => {
      if (isOver()) return resolve();
      setImmediate(bound ? link.bind(null) : link);
    };
    setImmediate(bound ? link.bind(null) : link);
  });
}

test("an addon's chain of immediates comes to wait by timers, one of JavaScript does not", async () => {
  const timers = vi.spyOn(globalThis, "setTimeout");
  waitPatiently();
  const begun = performance.now();
  await chain(false, () => performance.now() > begun + 20);
  expect(timers).not.toHaveBeenCalled();
  // Without end if it never does.
  await chain(true, () => timers.mock.calls.length === 3);
  expect(timers.mock.calls.map(([, ms]) => ms)).toEqual([1, 1, 1]);
});

test("a native call outside a chain is immediate, arguments arrive, and promises can be made of it", async () => {
  waitPatiently();
  const order: string[] = [];
  setTimeout(() => order.push("timer"), 1000).unref();
  await new Promise<void>((resolve) => setImmediate(resolve.bind(null, undefined)));
  expect(order).toEqual([]);
  expect(await new Promise((resolve) => setImmediate((x: string) => resolve(x), "given"))).toBe("given");
  await promisify(setImmediate)();
});
