import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { webPlatform } from "../../src/worker/platform";
import { FakeDirectory } from "../io/fake-directory";
import { fakeLocks } from "../io/fake-locks";

let origin: FakeDirectory;
beforeEach(() => {
  origin = new FakeDirectory("origin");
  vi.stubGlobal("navigator", { locks: fakeLocks(), storage: { getDirectory: async () => origin.handle } });
});
afterEach(() => vi.unstubAllGlobals());

const bytes = [Uint8Array.of(1, 2)];

test("spilled activations of closed tabs are removed, those of other tabs are not", async () => {
  const [first, second] = [webPlatform(true, true), webPlatform(true, true)];
  const ours = await first.openSpill();
  await ours.write("a", bytes);
  await ((await origin.folder("spill").getDirectoryHandle("left", { create: true })) as FakeDirectory).getFileHandle("b", { create: true });
  const theirs = await second.openSpill();
  await theirs.write("a", bytes);
  expect(origin.folder("spill").entries.size).toBe(2);
  expect(origin.folder("spill").entries.has("left")).toBe(false);
  expect([...(await ours.read("a"))]).toEqual([1, 2]);
});

test("without a private file system all of it is in memory, and that is told", async () => {
  const platform = webPlatform(true, true);
  expect(await platform.canKeep()).toBe(true);
  vi.stubGlobal("navigator", { storage: { getDirectory: () => Promise.reject(new Error("none")) } });
  expect(await platform.canKeep()).toBe(false);
  const spill = await platform.openSpill();
  await spill.write("a", bytes);
  expect([...(await spill.read("a"))]).toEqual([1, 2]);
});

test("exports lie beside the run where no folder can be picked", () => {
  expect(webPlatform(true, true).exportsTo).toBe("elsewhere");
  expect(webPlatform(true, false).exportsTo).toBe("zip");
});
