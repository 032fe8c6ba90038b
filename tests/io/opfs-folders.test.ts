import { afterEach, expect, test, vi } from "vitest";
import { claim } from "../../src/io/opfs-folders";

afterEach(() => vi.unstubAllGlobals());

/** The part of a browser's lock manager that is used: a name is held until the callback's promise ends. */
function lockManager() {
  const taken = new Set<string>();
  return {
    async request(name: string, _: object, work: (lock: object | null) => unknown) {
      if (taken.has(name)) return work(null);
      taken.add(name);
      try {
        await work({ name });
      } finally {
        taken.delete(name);
      }
    },
  };
}

test("a name that one worker has is no other's until it lets go", async () => {
  vi.stubGlobal("navigator", { locks: lockManager() });
  const first = await claim("runs/a");
  expect(first).not.toBe(null);
  expect(await claim("runs/a")).toBe(null);
  expect(await claim("runs/b")).not.toBe(null);
  await first!.release();
  expect(await claim("runs/a")).not.toBe(null);
});

test("where the browser has no locks, a name is given", async () => {
  vi.stubGlobal("navigator", {});
  const first = await claim("runs/a");
  await first!.release();
  expect(first).not.toBe(null);
});
