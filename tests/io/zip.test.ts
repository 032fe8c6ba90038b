import { execFileSync } from "node:child_process";
import { mkdtemp, writeFile as put, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { bytesFile } from "../../src/io/memory";
import { opfsZip } from "../../src/io/opfs";
import type { Sink } from "../../src/io/types";
import { writeFile } from "../../src/io/writer";
import { zipSink } from "../../src/io/zip";
import { FakeDirectory } from "./fake-directory";
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
  it("writes a zip file that can be taken and removed", async () => {
    const root = new FakeDirectory("opfs");
    const zip = await opfsZip("out.zip", { top: "top", root: root.handle });
    await fill(zip.sink);
    await zip.sink.finish();
    expect(await pythonReads(new Uint8Array(await (await zip.file()).arrayBuffer()))).toEqual(await expected());
    await zip.remove();
    expect(root.entries.size).toBe(0);
  });

  it("overwrites what an earlier run left, and deletes on abort", async () => {
    const root = new FakeDirectory("opfs");
    const first = await opfsZip("out.zip", { top: "top", root: root.handle });
    await fill(first.sink);
    const second = await opfsZip("out.zip", { top: "top", root: root.handle });
    await second.sink.finish();
    expect((await second.file()).size).toBe(22);
    const third = await opfsZip("out.zip", { top: "top", root: root.handle });
    await (await third.sink.create("a", 10)).write(new Uint8Array(5));
    await third.sink.abort();
    expect(root.entries.size).toBe(0);
  });

  it("says disk-full when the quota is used up in the middle", async () => {
    const root = new FakeDirectory("opfs");
    root.quota = 100_000;
    const zip = await opfsZip("out.zip", { top: "top", root: root.handle });
    expect(await failure(fill(zip.sink))).toMatch(/^disk-full: model.safetensors/);
    await zip.sink.abort();
    expect(root.entries.size).toBe(0);
  });

  it("waits for a locked file, then names the cause", async () => {
    const root = new FakeDirectory("opfs");
    root.locked = 2;
    await (await opfsZip("out.zip", { top: "top", root: root.handle })).sink.abort();
    root.locked = 99;
    expect(await failure(opfsZip("out.zip", { top: "top", root: root.handle, waitMs: 300 }))).toMatch(
      /^write-failed: out.zip is in use \| Close the other tabs/,
    );
  });
});
