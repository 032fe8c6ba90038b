import { watch } from "node:fs";
import { mkdir, mkdtemp, writeFile as put, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { QuantError } from "../../src/errors";
import { memorySink } from "../../src/io/memory";
import { folderSink } from "../../src/io/node";
import { makeSink, writeError } from "../../src/io/sink";
import { directorySink, gathered } from "../../src/io/sinks";
import type { Sink, Source } from "../../src/io/types";
import { writeFile } from "../../src/io/writer";
import { FakeDirectory } from "./fake-directory";
import { failure } from "./helpers";

const bytes = (text: string) => new TextEncoder().encode(text);

describe("every sink", () => {
  const fresh = async (): Promise<Sink> => memorySink();

  it("holds a file to its announced size", async () => {
    const file = await (await fresh()).create("a", 3);
    await file.write(bytes("ab"));
    expect(await failure(file.close())).toMatch(/^internal: a was announced with 3 bytes but got 2/);
    expect(await failure(file.write(bytes("cd")))).toMatch(/^internal: a was announced with 3 bytes but gets 4/);
    await file.write(bytes("c"));
    await file.close();
    expect(await failure(file.write(new Uint8Array(0)))).toMatch(/^internal: a was written to after it was closed/);
  });

  it("takes one file at a time, each name once, and nothing after the end", async () => {
    const sink = await fresh();
    const file = await sink.create("a", 0);
    expect(await failure(sink.create("b", 0))).toMatch(/^internal: b was created while the sink was writing/);
    expect(await failure(sink.finish())).toMatch(/^internal: the sink was finished while writing/);
    await file.close();
    for (const name of ["a", "A", "../x", "/x", "x/", "x//y", "x/../y", "x/y/z", "a/x", ""])
      expect(await failure(sink.create(name, 0))).toMatch(/^internal: the output file name/);
    expect(await failure(sink.create("b", -1))).toMatch(/^internal: b was announced with -1 bytes/);
    await sink.finish();
    expect(await failure(sink.create("c", 0))).toMatch(/^internal: c was created while the sink was finished/);
    await sink.abort();
    expect((sink as ReturnType<typeof memorySink>).files.size).toBe(1);
  });

  it("takes files in a folder, whose name is taken then", async () => {
    const sink = await fresh();
    await writeFile(sink, "onnx/a", bytes("1"));
    await writeFile(sink, "onnx/b", bytes("2"));
    for (const name of ["onnx", "ONNX", "Onnx/A"]) expect(await failure(sink.create(name, 0))).toMatch(/^internal: the output file name/);
    expect([...(sink as ReturnType<typeof memorySink>).files.keys()]).toEqual(["onnx/a", "onnx/b"]);
  });

  it("takes no bytes after an abort", async () => {
    const sink = await fresh();
    const file = await sink.create("a", 3);
    await sink.abort();
    expect(await failure(file.write(bytes("abc")))).toMatch(/^internal/);
    expect(await failure(sink.finish())).toMatch(/^internal: the sink was finished while aborted/);
  });

  it("explains full disks and other errors", async () => {
    const failing = (e: unknown) =>
      makeSink({
        open: async () => ({ write: () => Promise.reject(e), close: async () => {} }),
        finish: async () => {},
        abort: async () => {},
      });
    const write = async (e: unknown) => failure((await failing(e).create("m", 1)).write(bytes("x")));
    expect(await write(Object.assign(new Error("no space"), { code: "ENOSPC" }))).toMatch(/^disk-full: m \| Free some space/);
    expect(await write(new DOMException("quota", "QuotaExceededError"))).toMatch(/^disk-full: m/);
    expect(await write(Object.assign(new Error("denied"), { code: "EACCES" }))).toMatch(/^write-failed: m: denied/);
    expect(writeError("text", "m").where).toBe("m: text");
  });
});

/** What is read back of a file in a folder, and of one beside it. */
async function folders(sink: Sink): Promise<string[]> {
  await writeFile(sink, "onnx/a", bytes("in"));
  await writeFile(sink, "onnx/b", bytes("too"));
  await writeFile(sink, "c", bytes("beside"));
  const read: string[] = [];
  await sink.finish(async ({ files }) => {
    for (const file of files) read.push(`${file.name}: ${new TextDecoder().decode(await file.read(0, file.size))}`);
  });
  return read.sort();
}
const inFolders = ["c: beside", "onnx/a: in", "onnx/b: too"];

describe("folderSink", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "qep-sink-"));
  });
  afterEach(() => rm(dir, { recursive: true }));
  const text = (...path: string[]) => readFile(join(dir, ...path), "utf8");

  it("shows nothing before finish, and all after it", async () => {
    const sink = await folderSink(join(dir, "new", "out"));
    await writeFile(sink, "a.json", bytes("{}"));
    const big = await sink.create("b.bin", 3_000_000);
    await big.write(new Uint8Array(3_000_000).fill(7));
    await big.close();
    expect(await readdir(join(dir, "new"))).toEqual([expect.stringMatching(/^\.out\.partial-[0-9a-f]{8}$/)]);
    await sink.finish();
    expect(await readdir(join(dir, "new"))).toEqual(["out"]);
    expect(await text("new", "out", "a.json")).toBe("{}");
    expect((await readFile(join(dir, "new", "out", "b.bin"))).equals(Buffer.alloc(3_000_000, 7))).toBe(true);
  });

  it("writes files in a folder, and reads them back", async () => {
    expect(await folders(await folderSink(join(dir, "out")))).toEqual(inFolders);
    expect([await readdir(join(dir, "out")), await text("out", "onnx", "b")]).toEqual([["c", "onnx"], "too"]);
  });

  it("leaves nothing after an abort, even in the middle of a file", async () => {
    const sink = await folderSink(join(dir, "deep", "er", "out"));
    await writeFile(sink, "a", bytes("x"));
    await (await sink.create("in/b", 10)).write(bytes("half"));
    await sink.abort();
    await sink.abort();
    expect(await readdir(dir)).toEqual([]);
  });

  it("is read back before it is finished, and discarded at once when the process leaves", async () => {
    const sink = await folderSink(join(dir, "not", "yet", "out"));
    await writeFile(sink, "a", bytes("whole"));
    const check = async ({ label, files }: Source) => {
      expect(label).toBe("out");
      expect(await files[0].read(0, 5)).toEqual(bytes("whole"));
      expect(sink.discardNow()).toBe(true);
      expect(await readdir(dir)).toEqual([]);
      throw new QuantError("verify-failed", "a");
    };
    await expect(sink.finish(check)).rejects.toThrow("does not read back");
  });

  it("is not discarded while it is put in its place, nor after", async () => {
    const sink = await folderSink(join(dir, "out"));
    await writeFile(sink, "a", bytes("whole"));
    const finishing = sink.finish();
    // There is nothing to check, so the move begins in this turn.
    for (let turn = 0; turn < 5; turn++) await null;
    expect(sink.discardNow()).toBe(false);
    await finishing;
    expect(sink.discardNow()).toBe(true);
    expect(await readdir(join(dir, "out"))).toEqual(["a"]);
  });

  it("keeps what others put beside it when it aborts", async () => {
    const sink = await folderSink(join(dir, "made", "out"));
    await put(join(dir, "made", "note"), "mine");
    await sink.abort();
    expect(await readdir(join(dir, "made"))).toEqual(["note"]);
  });

  it("takes an empty folder, refuses a full one and a file", async () => {
    await mkdir(join(dir, "empty"));
    const sink = await folderSink(join(dir, "empty"));
    await writeFile(sink, "a", bytes("x"));
    await sink.finish();
    expect(await failure(folderSink(join(dir, "empty")))).toMatch(/^output-exists: .*empty \| .*--force/);
    await put(join(dir, "file"), "");
    expect(await failure(folderSink(join(dir, "file"), { force: true }))).toMatch(/^output-exists: .*is a file/);
    expect((await readdir(dir)).sort()).toEqual(["empty", "file"]);
  });

  it("refuses a folder that was filled meanwhile, and cleans up", async () => {
    const sink = await folderSink(join(dir, "out"));
    await writeFile(sink, "a", bytes("x"));
    await mkdir(join(dir, "out"));
    await put(join(dir, "out", "other"), "");
    expect(await failure(sink.finish())).toMatch(/^output-exists/);
    await sink.abort();
    expect([await readdir(dir), await readdir(join(dir, "out"))]).toEqual([["out"], ["other"]]);
  });

  it("with force keeps the old folder until finish, and for good on abort", async () => {
    await mkdir(join(dir, "out"));
    await put(join(dir, "out", "old"), "old");
    const aborted = await folderSink(join(dir, "out"), { force: true });
    await writeFile(aborted, "new", bytes("new"));
    await aborted.abort();
    expect(await readdir(join(dir, "out"))).toEqual(["old"]);
    const sink = await folderSink(join(dir, "out"), { force: true });
    await writeFile(sink, "new", bytes("new"));
    expect(await text("out", "old")).toBe("old");
    await sink.finish();
    expect([await readdir(dir), await readdir(join(dir, "out"))]).toEqual([["out"], ["new"]]);
  });

  it("with force puts the old folder back when the new one cannot take its place", async () => {
    await mkdir(join(dir, "out"));
    await put(join(dir, "out", "old"), "old");
    const sink = await folderSink(join(dir, "out"), { force: true });
    const partial = (await readdir(join(dir, "out"))).find((n) => n.includes("partial"))!;
    await rm(join(dir, "out", partial), { recursive: true });
    expect(await failure(sink.finish())).toMatch(/^write-failed/);
    await sink.abort();
    expect([await readdir(dir), await readdir(join(dir, "out"))]).toEqual([["out"], ["old"]]);
  });

  describe("into a folder that is there", () => {
    const out = () => join(dir, "out");
    const names = async () => (await readdir(out())).sort();
    const write = async (sink: Sink, ...files: string[]) => {
      for (const name of files) await writeFile(sink, name, bytes(`new ${name}`));
    };
    const open = (force = false) => folderSink(out(), { force, temporary: join(out(), ".run", "export") });
    beforeEach(() => mkdir(join(out(), "lost+found"), { recursive: true }));

    it("moves the files, whose folder stays: a mount point cannot be replaced", async () => {
      const { ino } = await stat(out());
      const sink = await folderSink(out());
      await write(sink, "config.json", "onnx/a");
      await sink.finish();
      expect(await names()).toEqual(["config.json", "lost+found", "onnx"]);
      expect([await text("out", "onnx", "a"), (await stat(out())).ino]).toEqual(["new onnx/a", ino]);
    });

    it("puts config.json last, and the first part of a GGUF file after the others", async () => {
      const sink = await open();
      await write(sink, "config.json", "model-00001-of-00002.gguf", "model-00002-of-00002.gguf", "z.json");
      const moved: string[] = [];
      const watcher = watch(out(), (_, name) => moved.push(name!));
      await sink.finish();
      await expect.poll(() => moved.filter((name) => name !== ".run")).toHaveLength(4);
      watcher.close();
      expect(moved.filter((name) => name !== ".run")).toEqual([
        "z.json",
        "model-00002-of-00002.gguf",
        "model-00001-of-00002.gguf",
        "config.json",
      ]);
    });

    it("where an entry cannot be moved, all is as before", async () => {
      await put(join(out(), "old"), "old");
      const sink = await open(true);
      await write(sink, "a", "b");
      // In the way of the list of moves.
      await mkdir(join(out(), ".run", "export.moves", "placed.json"), { recursive: true });
      expect(await failure(sink.finish())).toMatch(/^write-failed/);
      await sink.abort();
      expect([await names(), await text("out", "old")]).toEqual([["lost+found", "old"], "old"]);
    });

    it("killed among the moves, it is undone at the next start, but for what was put there since", async () => {
      const moves = join(out(), ".run", "export.moves");
      await mkdir(join(moves, "replaced"), { recursive: true });
      await put(join(moves, "replaced", "old"), "old");
      for (const name of ["a", "b"]) await put(join(out(), name), "new");
      const { ino } = await stat(join(out(), "a"));
      await put(join(moves, "placed.json"), JSON.stringify({ a: ino, b: ino, "config.json": 7 }));
      expect(await failure(open())).toMatch(/^output-exists/);
      expect(await names()).toEqual([".run", "b", "lost+found", "old"]);
      const sink = await open(true);
      await write(sink, "a");
      await sink.finish();
      expect(await names()).toEqual([".run", "a", "lost+found"]);
      expect(await readdir(join(out(), ".run"))).toEqual([]);
    });
  });

  it("says at once where no folder can be made", async () => {
    await put(join(dir, "file"), "");
    expect(await failure(folderSink(join(dir, "file", "sub", "out")))).toMatch(/^write-failed: .*file is a file, not a folder/);
    // Node's recursive mkdir never ends there.
    if (process.platform === "linux") expect(await failure(folderSink("/proc/nowhere/out"))).toMatch(/^write-failed: .*ENOENT/);
  });

  it("never replaces the model, nor a folder that holds it", async () => {
    await mkdir(join(dir, "models", "m"), { recursive: true });
    const input = join(dir, "models", "m");
    for (const out of [input, join(dir, "models"), dir])
      expect(await failure(folderSink(out, { force: true, input }))).toMatch(/^output-is-input/);
    for (const out of [join(input, "q4"), join(dir, "models", "m-q4"), join(dir, "..m")]) await (await folderSink(out, { input })).abort();
    expect(await readdir(join(dir, "models"))).toEqual(["m"]);
  });
});

describe("directorySink", () => {
  it("writes into a new subfolder; a file appears at close", async () => {
    const root = new FakeDirectory("chosen");
    const sink = await directorySink(root.handle, "out");
    const file = await sink.create("a", 4);
    await file.write(bytes("ab"));
    await file.write(bytes("cd"));
    expect(root.folder("out").content("a")).toBe("");
    await file.close();
    expect(root.folder("out").content("a")).toBe("abcd");
    await sink.finish();
    expect([...root.entries.keys()]).toEqual(["out"]);
  });

  it("writes files in a folder, and reads them back", async () => {
    const root = new FakeDirectory("chosen");
    expect(await folders(await directorySink(root.handle, "out"))).toEqual(inFolders);
    expect(root.folder("out").folder("onnx").content("b")).toBe("too");
  });

  it("removes its subfolder on abort, in the middle of a file too", async () => {
    const root = new FakeDirectory("chosen");
    const sink = await directorySink(root.handle, "out");
    await (await sink.create("a", 4)).write(bytes("ab"));
    await sink.abort();
    expect([...root.entries.keys()]).toEqual([]);
    expect(root.abortedStreams).toBe(1);
  });

  it("refuses a used folder, an unsafe name, and explains a full disk", async () => {
    const root = new FakeDirectory("chosen");
    const sink = await directorySink(root.handle, "out");
    await writeFile(sink, "a", bytes("x"));
    expect(await failure(directorySink(root.handle, "out"))).toMatch(/^output-exists: chosen\/out/);
    expect(await failure(directorySink(root.handle, "../out"))).toMatch(/^write-failed/);
    root.quota = 0;
    const file = await sink.create("b", 5_000_000);
    expect(await failure(file.write(new Uint8Array(5_000_000)))).toMatch(/^disk-full: b/);
    await sink.abort();
    expect([...root.entries.keys()]).toEqual([]);
  });

  it("gathers small writes, in order, and passes large ones through", async () => {
    const writes: number[][] = [];
    const file = gathered({ write: async (b) => void writes.push([...b]), close: async () => {} }, 4);
    const reused = Uint8Array.of(1, 2);
    await file.write(reused);
    reused.fill(9);
    await file.write(Uint8Array.of(3));
    await file.write(Uint8Array.of(4, 5));
    await file.write(Uint8Array.of(6, 7, 8, 9, 10));
    await file.write(Uint8Array.of(11));
    await file.close();
    expect(writes).toEqual([[1, 2, 3], [4, 5], [6, 7, 8, 9, 10], [11]]);
  });
});
