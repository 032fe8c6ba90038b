/** Small files: JSON, .npy, and the sources of browser, HTTP and disk. */
import { mkdir, mkdtemp, rm, symlink, unlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { blobFile, givenSource } from "../../src/io/browser";
import { httpSource } from "../../src/io/http";
import { parseJsonKept, readJson, writeJson } from "../../src/io/json";
import { bytesFile } from "../../src/io/memory";
import { diskSourceFile, folderSource } from "../../src/io/node";
import { parseNpy } from "../../src/io/npy";
import { failure } from "./helpers";

describe("readJson", () => {
  const read = (text: string | Uint8Array, cap = 1000) => readJson(bytesFile("c.json", text), cap);

  it("gives the value", async () => expect(await read('{"a":[1,"\\"[[["]}')).toEqual({ a: [1, '"[[['] }));
  it.each<[string, string | Uint8Array, RegExp]>([
    ["text that is no JSON", "{a", /^bad-json: c.json: /],
    ["a byte order mark", "\ufeff{}", /^bad-json: c.json/],
    ["bytes that are no UTF-8", Uint8Array.of(34, 255, 34), /^bad-json: c.json .*not UTF-8/],
    ["more than the cap", `"${"x".repeat(1000)}"`, /^bad-json: c.json: 1002 bytes, more than the 1000/],
    ["deep nesting", `${"[".repeat(300)}${"]".repeat(300)}`, /^bad-json: .*nested/],
  ])("refuses %s", async (_name, text, message) => expect(await failure(read(text))).toMatch(message));

  it("drops __proto__ keys, escaped ones too", async () => {
    for (const key of ["__proto__", "\\u005f_proto__"]) {
      const value = (await read(`{"${key}":{"evil":1},"a":{"${key}":2,"b":3}}`)) as Record<string, unknown>;
      expect(Object.assign({}, value).evil).toBeUndefined();
      expect(JSON.stringify(value)).toBe('{"a":{"b":3}}');
    }
  });

  it("refuses 50 MB of brackets", async () => {
    expect(await failure(read(new Uint8Array(50e6).fill(91), 60e6))).toMatch(/nested/);
  });
});

/** A .npy file, written by hand after numpy.lib.format. */
function npy(dict: string, data: ArrayBufferView, major = 1): Uint8Array {
  const lengthBytes = major === 1 ? 2 : 4;
  const text = `${dict.padEnd(117 - lengthBytes)}\n`;
  const head = [0x93, ...Buffer.from("NUMPY"), major, 0, text.length, ...new Array(lengthBytes - 1).fill(0), ...Buffer.from(text)];
  return Uint8Array.from([...head, ...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]);
}
const dict = (descr: string, shape: string, order = "False") => `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape}), }`;

describe("parseNpy", () => {
  it.each([1, 2, 3])("reads every integer type, version %i", (major) => {
    const four: [string, ArrayBufferView][] = [
      ["<i4", Int32Array.of(1, -2, 3, 4)],
      ["<u4", Uint32Array.of(1, 2, 3, 2 ** 31 - 1)],
      ["<u2", Uint16Array.of(1, 2, 3, 65535)],
      ["<i8", BigInt64Array.of(1n, -2n, 3n, 4n)],
    ];
    for (const [descr, data] of four) {
      const want = [...(data as unknown as Iterable<number | bigint>)].map(Number);
      expect(parseNpy(npy(dict(descr, "2, 2"), data, major), "t.npy")).toEqual({ shape: [2, 2], data: Int32Array.from(want) });
    }
    expect(parseNpy(npy(dict("<i4", "2,"), Int32Array.of(7, 8), major), "t.npy")).toEqual({ shape: [2], data: Int32Array.of(7, 8) });
  });

  const one = Int32Array.of(1);
  it.each<[string, Uint8Array, RegExp]>([
    ["no .npy", new Uint8Array(200), /not a .npy/],
    ["a cut header", npy(dict("<i4", "1,"), one).slice(0, 60), /header should take/],
    ["cut data", npy(dict("<i4", "2,"), one), /2 values take 8 bytes, but the file has 4/],
    ["too much data", npy(dict("<u2", "1,"), one), /1 values take 2 bytes, but the file has 4/],
    ["floats", npy(dict("<f4", "1,"), one), /type is "<f4"/],
    ["big endian", npy(dict(">i4", "1,"), one), /type is ">i4"/],
    ["Fortran order", npy(dict("<i4", "1,", "True"), one), /Fortran/],
    ["three dimensions", npy(dict("<i4", "1, 1, 1"), one), /shape is/],
    ["no dimension", npy(dict("<i4", ""), one), /shape is/],
    ["a negative dimension", npy(dict("<i4", "-1,"), one), /shape is/],
    ["another version", npy(dict("<i4", "1,"), one, 4), /version 4.0/],
    ["no dictionary", npy("[]", one), /malformed/],
    ["a value beyond int32", npy(dict("<i8", "1,"), BigInt64Array.of(2n ** 31n)), /value 2147483648 at position 0/],
    ["a u4 beyond int32", npy(dict("<u4", "2,"), Uint32Array.of(0, 2 ** 31)), /value 2147483648 at position 1/],
  ])("refuses %s", async (_name, bytes, message) => {
    const found = await failure(() => parseNpy(bytes, "t.npy"));
    expect(found).toMatch(/^bad-file: t.npy: /);
    expect(found).toMatch(message);
  });
});

describe("a config that is written again", () => {
  const again = (text: string) => new TextDecoder().decode(writeJson(parseJsonKept(new TextEncoder().encode(text), "config.json")));

  it("keeps floats that are whole numbers, for readers that tell 30.0 from 30", () => {
    const text = '{\n  "a": 30.0,\n  "b": [\n    1e4,\n    -2.50e2,\n    7,\n    0.5\n  ],\n  "c": "1.0 \\" 2.0",\n  "d": null\n}\n';
    expect(again(text)).toBe(text);
  });

  it("takes no text for a mark of its own", () => {
    for (const hostile of [
      '{"a": "x\\"\\u00001"}',
      '{"\\u00005": 1.0}',
      '{"a": "\\u00001"}',
      '{"a": "\\\\u00001"}',
      '{"a": ["\\u00001.0"]}',
    ])
      expect(JSON.parse(again(hostile))).toEqual(JSON.parse(hostile.replaceAll("\\u0000", "\\ufffd")));
    expect(again('{"__proto__": {"x": 1.0}, "y": 2.0}')).toBe('{\n  "y": 2.0\n}\n');
  });
});

function fileAt(path: string, content = "abcdef"): File {
  const file = new File([content], path.split("/").at(-1)!);
  Object.defineProperty(file, "webkitRelativePath", { value: path.includes("/") ? path : "" });
  return file;
}
const names = (s: { files: readonly { name: string }[] }) => s.files.map((f) => f.name);

describe("browser sources", () => {
  it("have files by their paths", async () => {
    const source = givenSource([{ path: "onnx/a.onnx", file: fileAt("model/onnx/a.onnx") }], "model");
    expect([source.label, ...source.files.map(({ name }) => name)]).toEqual(["model", "onnx/a.onnx"]);
    expect(new TextDecoder().decode(await source.files[0].read(1, 4))).toBe("bcd");
  });

  it("map a vanished file to file-changed, and other trouble to bad-file", async () => {
    const broken = (kind: string) => {
      const file = fileAt("a.safetensors");
      const slice = () => ({ arrayBuffer: () => Promise.reject(new DOMException("no", kind)) });
      Object.defineProperty(file, "slice", { value: slice });
      return failure(blobFile(file).read(0, 1));
    };
    expect(await broken("NotReadableError")).toMatch(/^file-changed: a.safetensors/);
    expect(await broken("NotFoundError")).toMatch(/^file-changed/);
    expect(await broken("SecurityError")).toMatch(/^bad-file: a.safetensors/);
    expect(await failure(blobFile(fileAt("a")).read(3, 7))).toMatch(/^truncated: a: bytes 3 to 7 of 6/);
  });
});

describe("httpSource", () => {
  afterEach(() => vi.unstubAllGlobals());
  const answer = (body: string, init?: ResponseInit) =>
    vi.stubGlobal(
      "fetch",
      vi.fn(async () => new Response(body, init)),
    );

  it("fetches each file once, its name encoded", async () => {
    answer("hello", { headers: { "content-type": "application/octet-stream" } });
    const source = await httpSource("demo", "/demo/model", ["a b.json"]);
    expect([source.label, source.files[0].name, source.files[0].size]).toEqual(["demo", "a b.json", 5]);
    expect(new TextDecoder().decode(await source.files[0].read(0, 2))).toBe("he");
    expect(vi.mocked(fetch).mock.calls.map((c) => c[0])).toEqual(["/demo/model/a%20b.json"]);
  });

  it("refuses errors, pages in place of files, and broken connections", async () => {
    answer("", { status: 404 });
    expect(await failure(httpSource("d", "/d/", ["x"]))).toMatch(/^bad-file: x: the server answered 404/);
    answer("<html>", { headers: { "content-type": "text/html; charset=utf-8" } });
    expect(await failure(httpSource("d", "/d/", ["x"]))).toMatch(/^bad-file: x: the server has no such file/);
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("failed")));
    expect(await failure(httpSource("d", "/d/", ["x"]))).toMatch(/^bad-file: x: the download failed/);
    expect(await failure(httpSource("d", "/d/", ["x"], AbortSignal.abort()))).toMatch(/^cancelled/);
  });
});

describe("folderSource", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "qep-io-"));
    await writeFile(join(dir, "a.bin"), "0123456789");
    await mkdir(join(dir, "sub"));
    await symlink(join(dir, "a.bin"), join(dir, "link.bin"));
    await symlink(join(dir, "nowhere"), join(dir, "dangling.bin"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("lists files and links to files, and reads ranges", async () => {
    const source = await folderSource(dir);
    expect(names(source)).toEqual(["a.bin", "link.bin"]);
    for (const f of source.files) expect(new TextDecoder().decode(await f.read(2, 5))).toBe("234");
    expect((await source.files[0].read(10, 10)).length).toBe(0);
    expect(await failure(source.files[0].read(5, 11))).toMatch(/^truncated: a.bin: bytes 5 to 11 of 10/);
  });

  it("notices other content, another time, and a file that is gone", async () => {
    const [file] = (await folderSource(dir)).files;
    await writeFile(join(dir, "a.bin"), "012345678");
    expect(await failure(file.read(0, 1))).toMatch(/^file-changed: a.bin: it had 10 bytes, now 9/);
    const [again] = (await folderSource(dir)).files;
    await utimes(join(dir, "a.bin"), 1, 1);
    expect(await failure(again.read(0, 1))).toMatch(/^file-changed/);
    const single = await diskSourceFile(join(dir, "a.bin"));
    await unlink(join(dir, "a.bin"));
    expect(await failure(single.read(0, 1))).toMatch(/^file-changed: a.bin: it has vanished/);
  });

  it("says what is wrong with the path", async () => {
    expect(await failure(folderSource(join(dir, "no")))).toMatch(/^missing-file: the folder .*no does not exist/);
    expect(await failure(folderSource(join(dir, "a.bin")))).toMatch(/^bad-file: .*is not a folder/);
    expect(await failure(diskSourceFile(join(dir, "no")))).toMatch(/^missing-file/);
    expect(await failure(diskSourceFile(dir))).toMatch(/^bad-file: .*is not a file/);
  });
});
