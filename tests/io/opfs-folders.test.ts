import { afterEach, expect, test, vi } from "vitest";
import { claim, newPlace, privateBytes, sweep } from "../../src/io/opfs-folders";
import { keepFile } from "../../src/ui/save";
import { FakeDirectory } from "./fake-directory";
import { fakeLocks } from "./fake-locks";

afterEach(() => vi.unstubAllGlobals());

/** A browser with this private file system. */
function browser(origin: FakeDirectory): void {
  vi.stubGlobal("navigator", { locks: fakeLocks(), storage: { getDirectory: async () => origin.handle } });
}

test("a name that one worker has is no other's until it lets go", async () => {
  vi.stubGlobal("navigator", { locks: fakeLocks() });
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

test("places have names of their own, and a sweep removes those that nobody has locked, files and folders", async () => {
  const origin = new FakeDirectory("origin");
  browser(origin);
  const left = (await origin.getDirectoryHandle("zips", { create: true })) as FakeDirectory;
  await left.getFileHandle("half", { create: true });
  await left.getDirectoryHandle("folder", { create: true });
  const place = (await newPlace("zips"))!;
  expect([...left.entries.keys()]).toEqual([]);
  expect(place.lock).toBe(`zips/${place.name}`);
  await left.getFileHandle(place.name, { create: true });
  const next = (await newPlace("zips"))!;
  await left.getFileHandle(next.name, { create: true });
  await sweep("zips");
  expect([...left.entries.keys()]).toEqual([place.name, next.name]);
  await place.remove();
  expect([...left.entries.keys()]).toEqual([next.name]);
  expect(await claim(place.lock)).not.toBe(null);
});

test("what cannot be removed now does not keep others", async () => {
  const origin = new FakeDirectory("origin");
  browser(origin);
  const left = (await origin.getDirectoryHandle("zips", { create: true })) as FakeDirectory;
  for (const name of ["stuck", "other"]) await left.getFileHandle(name, { create: true });
  const remove = left.removeEntry.bind(left);
  left.removeEntry = async (name) => {
    if (name === "stuck") throw new DOMException("in use", "NoModificationAllowedError");
    await remove(name);
  };
  await newPlace("zips");
  expect([...left.entries.keys()]).toEqual(["stuck"]);
});

test("without a private file system there is no place", async () => {
  vi.stubGlobal("navigator", { storage: { getDirectory: () => Promise.reject(new Error("none")) } });
  expect(await newPlace("zips")).toBe(null);
  expect(await sweep("zips")).toBe(null);
});

test("a page has its file's lock as soon as the worker that made it ends, and keeps it", async () => {
  const origin = new FakeDirectory("origin");
  browser(origin);
  const worker = (await claim("zips/a"))!;
  const folder = (await origin.getDirectoryHandle("zips", { create: true })) as FakeDirectory;
  await folder.getFileHandle("a", { create: true });
  keepFile("zips/a");
  // As the browser does when the worker is ended.
  await worker.release();
  await sweep("zips");
  expect([...folder.entries.keys()]).toEqual(["a"]);
});
