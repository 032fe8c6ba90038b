import { execFileSync } from "node:child_process";
import { mkdtemp, writeFile as put, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { bytesFile } from "../../src/io/memory";
import { openLocked, opfsZip, removeLeftZips } from "../../src/io/opfs";
import { claim } from "../../src/io/opfs-folders";
import type { Sink } from "../../src/io/types";
import { writeFile } from "../../src/io/writer";
import { zipSink } from "../../src/io/zip";
import { FakeDirectory } from "./fake-directory";
import { fakeLocks } from "./fake-locks";
import { failure } from "./helpers";

function target() {
  const chunks: Uint8Array[] = [];
  const calls: string[] = [];
  return {
    calls,
    bytes: () => Buffer.concat(chunks),
    write: async (b: Uint8Array) => void chunks.push(b.slice()),
    close: async () => void calls.push("close"),
    written: async () => bytesFile("a.zip", Buffer.concat(chunks)),
    abort: async () => void calls.push("abort"),
  };
}

const files: [string, Uint8Array][] = [
  ["config.json", new TextEncoder().encode('{"é":1}')],
  ["empty.bin", new Uint8Array(0)],
  ["onnx/model.onnx", new TextEncoder().encode("graph")],
  ["model.safetensors", Uint8Array.from({ length: 300_000 }, (_, i) => (i * i) & 255)],
];

/** Writes each file in pieces from one buffer that is overwritten at once, as an engine does. */
async function fill(sink: Sink): Promise<void> {
  const buffer = new Uint8Array(7001);
  for (const [name, content] of files) {
    const file = await sink.create(name, content.length);
    for (let at = 0; at < content.length; at += buffer.length) {
      const piece = content.subarray(at, at + buffer.length);
      buffer.set(piece);
      await file.write(buffer.subarray(0, piece.length));
      buffer.fill(0);
    }
    await file.close();
  }
}

/** Every entry as name, size and SHA-256, by Python's own zip reader, after its check of all CRCs. */
async function pythonReads(zip: Uint8Array): Promise<string[]> {
  const dir = await mkdtemp(join(tmpdir(), "qep-zip-"));
  await put(join(dir, "a.zip"), zip);
  const code =
    "import sys,zipfile,hashlib\nz=zipfile.ZipFile(sys.argv[1])\nassert z.testzip() is None\nfor i in z.infolist(): print(i.filename,i.file_size,hashlib.sha256(z.read(i)).hexdigest())";
  const out = execFileSync("python3", ["-c", code, join(dir, "a.zip")], { encoding: "utf8" });
  await rm(dir, { recursive: true });
  return out.trim().split("\n");
}

async function expected(): Promise<string[]> {
  const hash = async (b: Uint8Array) => Buffer.from(await crypto.subtle.digest("SHA-256", b as Uint8Array<ArrayBuffer>)).toString("hex");
  return Promise.all(files.map(async ([n, b]) => `top/${n} ${b.length} ${await hash(b)}`));
}

describe("zipSink", () => {
  it("writes a zip that Python reads", async () => {
    const to = target();
    const sink = zipSink(to, "top");
    await fill(sink);
    await sink.finish(async (written) => expect(written.files.map(({ name }) => name)).toEqual(files.map(([name]) => name)));
    expect(await pythonReads(to.bytes())).toEqual(await expected());
    expect(to.calls).toEqual(["close"]);
  });

  it("says that the output is wrong where its own zip does not read back", async () => {
    const to = target();
    const sink = zipSink({ ...to, written: async () => bytesFile("a.zip", to.bytes().subarray(0, -1)) }, "top");
    await fill(sink);
    expect(await failure(sink.finish(async () => {}))).toMatch(/^verify-failed: a\.zip is not a zip/);
  });

  it("gives the same bytes for the same date", async () => {
    const [a, b] = await Promise.all(
      [target(), target()].map(async (to) => {
        const sink = zipSink(to, "top", new Date(2026, 0, 2));
        await fill(sink);
        await sink.finish();
        return to.bytes();
      }),
    );
    expect(a.equals(b)).toBe(true);
  });

  it("stops everywhere when the target fails, and never hangs", async () => {
    for (const failAt of [1, 2, 3, 5, 20]) {
      let calls = 0;
      const to = target();
      to.write = async () => {
        if (++calls >= failAt) throw new DOMException("full", "QuotaExceededError");
      };
      const sink = zipSink(to, "top");
      expect(await failure(fill(sink).then(() => sink.finish()))).toMatch(/^disk-full/);
      expect(await failure(sink.create("later", 0))).toMatch(/^(disk-full|internal)/);
      await sink.abort();
      expect(to.calls).toEqual(["abort"]);
    }
  });

  it("aborts at any time: before, within and between files", async () => {
    for (const stop of [0, 1, 2]) {
      const to = target();
      const sink = zipSink(to, "top");
      if (stop) await writeFile(sink, "a", new Uint8Array(10));
      if (stop === 2) await (await sink.create("b", 10)).write(new Uint8Array(5));
      await sink.abort();
      expect(to.calls).toEqual(["abort"]);
    }
  });
});

describe("opfsZip", () => {
  let origin: FakeDirectory;
  beforeEach(() => {
    origin = new FakeDirectory("origin");
    vi.stubGlobal("navigator", { locks: fakeLocks(), storage: { getDirectory: async () => origin.handle } });
  });
  afterEach(() => vi.unstubAllGlobals());

  const zips = () => [...origin.folder("zips").entries.keys()];

  it("writes a zip file that can be taken", async () => {
    const zip = await opfsZip("top");
    await fill(zip.sink);
    await zip.sink.finish();
    expect(await pythonReads(new Uint8Array(await (await zip.file()).arrayBuffer()))).toEqual(await expected());
    expect(zips()).toEqual([zip.lock.slice("zips/".length)]);
  });

  it("leaves an earlier zip of that name as it is: it may still be copied", async () => {
    const [first, second] = [await opfsZip("top"), await opfsZip("top")];
    await fill(first.sink);
    await first.sink.finish();
    await second.sink.finish();
    const third = await opfsZip("top");
    expect((await second.file()).size).toBe(22);
    expect(await pythonReads(new Uint8Array(await (await first.file()).arrayBuffer()))).toEqual(await expected());
    await third.sink.abort();
    expect(zips()).toHaveLength(2);
  });

  it("deletes on abort, and lets go of the name", async () => {
    const zip = await opfsZip("top");
    await (await zip.sink.create("a", 10)).write(new Uint8Array(5));
    expect(zips()).toHaveLength(1);
    expect(await claim(zip.lock)).toBe(null);
    await zip.sink.abort();
    expect(zips()).toEqual([]);
    expect(await claim(zip.lock)).not.toBe(null);
  });

  it("deletes zips, finished or not, whose page is closed", async () => {
    const folder = (await origin.getDirectoryHandle("zips", { create: true })) as FakeDirectory;
    for (const name of ["whole", "half"]) await folder.getFileHandle(name, { create: true });
    await removeLeftZips();
    expect(zips()).toEqual([]);
  });

  it.each([
    [100, 1e9, /^disk-full: the zip takes 1.0 GB, and 0.0 MB are free for this page \| Export into a folder.*A reload deletes/],
    [1e9, 1e9, null],
    [Number.NaN, 1e9, null],
  ])("with %d bytes free a zip of %d is refused, or not: %s", async (free, bytes, said) => {
    vi.stubGlobal("navigator", {
      storage: { getDirectory: async () => origin.handle, estimate: async () => ({ quota: free + 5, usage: 5 }) },
    });
    const { sink } = await opfsZip("top");
    if (said) expect(await failure(sink.prepare(bytes))).toMatch(said);
    else await sink.prepare(bytes);
    await sink.abort();
    expect(zips()).toEqual([]);
  });

  it("says disk-full when the quota is used up in the middle", async () => {
    origin.quota = 100_000;
    const zip = await opfsZip("top");
    expect(await failure(fill(zip.sink))).toMatch(/^disk-full: model.safetensors/);
    await zip.sink.abort();
    expect(zips()).toEqual([]);
  });

  it("says what to do where pages may keep no files", async () => {
    vi.stubGlobal("navigator", { storage: { getDirectory: () => Promise.reject(new DOMException("no", "SecurityError")) } });
    expect(await failure(opfsZip("top"))).toMatch(/^write-failed: this browser lets the page keep no files.* \| Export into a folder/);
  });

  it("leaves nothing where a file cannot be opened", async () => {
    const folder = (await origin.getDirectoryHandle("zips", { create: true })) as FakeDirectory;
    origin.refusal = new DOMException("no", "InvalidStateError");
    expect(await failure(opfsZip("top"))).toMatch(/^write-failed: top.zip: no/);
    expect([...folder.entries.keys()]).toEqual([]);
  });
});

it("a locked file is waited for, then the cause is named", async () => {
  const origin = new FakeDirectory("origin");
  const file = (await origin.getFileHandle("block-1", { create: true })) as unknown as FileSystemFileHandle;
  origin.locked = 2;
  (await openLocked(file, "block-1")).close();
  origin.locked = 99;
  expect(await failure(openLocked(file, "block-1", 300))).toMatch(/^write-failed: block-1 is in use \| Close the other tabs/);
});
