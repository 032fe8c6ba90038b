import { afterEach, expect, test, vi } from "vitest";
import { claim, privateBytes } from "../../src/io/opfs-folders";

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

test.each([
  ["what is left of a real quota", { quota: 5e9, usage: 2e9 }, 3e9],
  ["nothing, where more is used than allowed", { quota: 1, usage: 2 }, 0],
  ["that it is not known, where Chromium says to everybody the same", { quota: 10 * 2 ** 30 + 5, usage: 5 }, null],
  ["that it is not known, where the browser does not say", {}, null],
])("the room in the browser is told as %s", async (_, estimate, free) => {
  vi.stubGlobal("navigator", { storage: { getDirectory: async () => ({}), estimate: async () => estimate } });
  expect(await privateBytes()).toBe(free);
});

test("without a private file system, nothing is kept and no room needed", async () => {
  vi.stubGlobal("navigator", {
    storage: { getDirectory: () => Promise.reject(new Error("none")), estimate: async () => ({ quota: 9, usage: 1 }) },
  });
  expect(await privateBytes()).toBe(null);
});
