import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { claimFolder, folderScratch } from "../../src/io/node-scratch";
import { opfsScratch } from "../../src/io/opfs-scratch";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { FakeDirectory } from "./fake-directory";

let folder: string;
let origin: FakeDirectory;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "qep-scratch-"));
  origin = new FakeDirectory("origin");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const bytes = (...values: number[]) => Uint8Array.from(values);
const kinds: [string, () => Scratch][] = [
  ["in memory", memoryScratch],
  ["on disk", () => folderScratch(join(folder, "run"))],
  ["in the browser's private file system", () => opfsScratch(origin.handle, "run")],
];

describe.each(kinds)("scratch %s", (_, open) => {
  test("gives back what was written, whole or in part, in a buffer of its own", async () => {
    const scratch = open();
    expect(await scratch.names()).toEqual([]);
    await scratch.write("a", [bytes(1, 2, 3), bytes(), bytes(4, 5)]);
    await scratch.write("b", []);
    expect((await scratch.names()).sort()).toEqual(["a", "b"]);
    expect([...(await scratch.read("a"))]).toEqual([1, 2, 3, 4, 5]);
    const part = await scratch.read("a", 1, 4);
    expect([...part]).toEqual([2, 3, 4]);
    expect(part.buffer.byteLength).toBe(3);
    part[0] = 99;
    expect([...(await scratch.read("a", 1, 2))]).toEqual([2]);
    expect(await scratch.read("b")).toHaveLength(0);
  });

  test("forgets what is removed, and everything at once", async () => {
    const scratch = open();
    await scratch.write("a", [bytes(1)]);
    await scratch.write("b", [bytes(2)]);
    await scratch.remove("a");
    await scratch.remove("never");
    expect(await scratch.names()).toEqual(["b"]);
    await expect(scratch.read("a")).rejects.toMatchObject({ code: "internal" });
    await scratch.write("a", [bytes(3)]);
    expect([...(await scratch.read("a"))]).toEqual([3]);
    await scratch.clear();
    expect(await scratch.names()).toEqual([]);
  });
});

test("what was being written when the process died is not there", async () => {
  await mkdir(join(folder, "run"));
  await writeFile(join(folder, "run", "block-3.new"), "half");
  expect(await folderScratch(join(folder, "run")).names()).toEqual([]);
  const run = (await origin.getDirectoryHandle("run", { create: true })) as FakeDirectory;
  await run.getFileHandle("block-3", { create: true });
  expect(await opfsScratch(origin.handle, "run").names()).toEqual([]);
});

describe("the browser's file system counts a file", () => {
  test("only once all of it is written, not while or after a disk is full", async () => {
    const scratch = opfsScratch(origin.handle, "run");
    origin.quota = 3;
    await expect(scratch.write("a", [bytes(1, 2), bytes(3, 4)])).rejects.toMatchObject({
      code: "disk-full",
      message: expect.stringMatching(/next block cannot be kept. Free some space, then resume it/),
    });
    expect(await scratch.names()).toEqual([]);
    origin.quota = 10;
    await scratch.write("a", [bytes(5)]);
    expect([...(await scratch.read("a"))]).toEqual([5]);
  });

  test("no more once it is being written again", async () => {
    const scratch = opfsScratch(origin.handle, "run");
    await scratch.write("a", [bytes(1, 2)]);
    origin.quota = 1;
    await expect(scratch.write("a", [bytes(3, 4)])).rejects.toMatchObject({ code: "disk-full" });
    expect(await scratch.names()).toEqual([]);
  });
});

describe("a folder of one process", () => {
  const run = () => join(folder, ".out.run");

  test("is refused while another one has it, and taken over when that one is gone", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 600_000)"]);
    await mkdir(run());
    await writeFile(join(run(), "lock"), String(other.pid));
    await expect(claimFolder(run())).rejects.toMatchObject({ code: "run-exists", where: `process ${other.pid} is working on it` });
    const gone = new Promise((resolve) => other.on("exit", resolve));
    other.kill("SIGKILL");
    await gone;
    const release = await claimFolder(run());
    await release();
    expect(existsSync(run())).toBe(false);
  });

  test("is taken over from a process that is gone and had the number that this one has now", async () => {
    await mkdir(run());
    await writeFile(join(run(), "lock"), String(process.pid));
    await (await claimFolder(run()))();
    expect(existsSync(run())).toBe(false);
  });

  test("stays where a run is kept in it", async () => {
    const release = await claimFolder(run());
    await folderScratch(join(run(), "journal")).write("a", [bytes(1)]);
    await release();
    expect(existsSync(join(run(), "lock"))).toBe(false);
    expect([...(await folderScratch(join(run(), "journal")).read("a"))]).toEqual([1]);
  });
});
