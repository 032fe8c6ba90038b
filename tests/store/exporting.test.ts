import { afterEach, expect, it, vi } from "vitest";
import { keepFile } from "../../src/ui/save";
import type { FakeDirectory } from "../io/fake-directory";
import { fakeLocks } from "../io/fake-locks";
import { realClient } from "../support/real-client";
import { made, opened } from "./opened";

const browser = navigator;
afterEach(() => void vi.stubGlobal("navigator", browser));

/** A browser's locks, none of them held: every worker before has ended. */
const unlocked = () => vi.stubGlobal("navigator", { ...navigator, locks: fakeLocks() });

/** So many bytes are free. */
const room = (free: number) =>
  vi.stubGlobal("navigator", {
    ...navigator,
    storage: { ...navigator.storage, estimate: async () => ({ quota: free + 5, usage: 5 }) },
  });

/** Names of the zips in the browser's private file system. */
async function zips(): Promise<string[]> {
  const origin = (await navigator.storage.getDirectory()) as unknown as FakeDirectory;
  return [...origin.folder("zips").entries.keys()];
}

/** A page with a finished run and two zips of it. */
async function withTwoZips() {
  unlocked();
  const page = await opened();
  page.studio.editRecipe({ blocks: 1 });
  await page.studio.run();
  const first = (await page.studio.exportRun({ kind: "zip", name: "demo" }))!.zip!;
  const second = (await page.studio.exportRun({ kind: "zip", name: "demo" }))!.zip!;
  return { page, first, second };
}

it("a second zip of one name does not touch the first, and neither lies in the root", async () => {
  const { first, second } = await withTwoZips();
  expect((await zips()).map((name) => `zips/${name}`)).toEqual([first.lock, second.lock]);
  expect(second.file.size).toBe(first.file.size);
  const origin = (await navigator.storage.getDirectory()) as unknown as FakeDirectory;
  expect([...origin.entries.keys()].filter((name) => name.endsWith(".zip"))).toEqual([]);
});

it("the worker of a later page deletes what closed pages left", async () => {
  await withTwoZips();
  unlocked();
  await made(realClient({ later: true })).studio.start();
  expect(await zips()).toEqual([]);
});

it("a restarted worker leaves what its page may still be downloading", async () => {
  const { second } = await withTwoZips();
  unlocked();
  keepFile(second.lock);
  await made(realClient({ later: true })).studio.start();
  expect(await zips()).toEqual([second.lock.slice("zips/".length)]);
});

it("a zip that finds too little room is refused before it is begun, and can be made once there is some", async () => {
  const { page } = await withTwoZips();
  room(10_000);
  expect(await page.studio.exportRun({ kind: "zip", name: "demo" })).toBe(null);
  expect(page.state().outcome).toMatchObject({
    kind: "failed",
    error: { code: "disk-full", where: expect.stringMatching(/^the zip takes/) },
  });
  expect(await zips()).toHaveLength(2);
  room(1e9);
  expect(await page.studio.exportRun({ kind: "zip", name: "demo" })).toMatchObject({ zip: { lock: expect.any(String) } });
});

it("where the browser picks no folder, the plan counts the zip", async () => {
  const warned = async (picksFolders: boolean) => {
    const page = made(realClient(), { picksFolders });
    room(100_000);
    await page.studio.start();
    await page.studio.openDemo();
    page.studio.editRecipe({ calibration: { windows: 4, windowLength: 16 } });
    await page.settled();
    return page.state().plan.summary!.warnings.join(" ");
  };
  expect(await warned(false)).toMatch(/the run and its zip take up to/);
  expect(await warned(true)).not.toMatch(/There is not enough room/);
});

it("where pages may keep no files, the plan says so before the run, and a zip what to do", async () => {
  const getDirectory = () => Promise.reject(new DOMException("no", "SecurityError"));
  vi.stubGlobal("navigator", { ...navigator, storage: { getDirectory } });
  const page = await opened();
  expect(page.state().plan.summary).toMatchObject({
    scratchBytes: 0,
    warnings: [expect.stringMatching(/keep no files, as in a private window/)],
  });
  await page.studio.run();
  expect(await page.studio.exportRun({ kind: "zip", name: "demo" })).toBe(null);
  expect(page.state().outcome).toMatchObject({
    kind: "failed",
    error: { code: "write-failed", hint: expect.stringMatching(/^Export into a folder/) },
  });
});

it("a zip that is cancelled in the middle leaves nothing", async () => {
  const { page } = await withTwoZips();
  const done = page.studio.exportRun({ kind: "zip", name: "demo" });
  page.studio.cancel();
  expect(await done).toBe(null);
  expect(page.state().outcome).toMatchObject({ kind: "cancelled" });
  expect(await zips()).toHaveLength(2);
});
