import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { Digests } from "../../src/engine/digests";
import { certificateOf, inputFiles, requireSame } from "../../src/export/certificate";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { type Hasher, hashingSink, plainHasher, type StartHasher, sha256OfFile } from "../../src/io/hasher";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { nodeHasher } from "../../src/io/node-hasher";
import { openModel } from "../../src/model/checkpoint";
import { rotateModel } from "../../src/model/rotated";
import { createCpuOps } from "../../src/ops/cpu";
import type { Certificate } from "../../src/results/certificate";
import { checkSource } from "../../src/verify/verify";
import { run } from "../support/engine";
import { packableConfig } from "../support/exported";
import { recipeWith } from "../support/recipe";
import { safetensors, tinyTensors, tinyTokens } from "../support/tiny";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const small = { "tokenizer.json": "{}", "tokenizer_config.json": "{}", LICENSE: "mine", "README.md": "the source's" };
const source = () =>
  memorySource("tiny", [
    bytesFile("config.json", JSON.stringify(packableConfig)),
    bytesFile("model.safetensors", safetensors(tinyTensors(packableConfig))),
    ...Object.entries(small).map(([name, text]) => bytesFile(name, text)),
  ]);

async function exported(startHasher: StartHasher, adapter: string, cut?: AbortSignal) {
  const model = await openModel(source());
  const recipe = recipeWith({ format: "gptq", groupSize: 32 }, { alpha: 0 });
  const { report, ...result } = await run({ ops: createCpuOps(), model, tokens: tinyTokens(), recipe });
  const sink = memorySink();
  const seen: [number, number, string][] = [];
  const progress = (done: number, total: number, where: string) => void seen.push([done, total, where]);
  const input = {
    model,
    ...result,
    report: { ...report, adapter },
    evaluations: [],
    calibration: "abc",
    sink,
    startHasher,
    progress,
    signal: cut,
  };
  return { ...(await exportCheckpoint(input)), sink, seen };
}

test("names what the export was made from and what it is, by digests that anybody can make", async () => {
  const { sink, certificate, files, bytes } = await exported(nodeHasher, "one");
  const written: Certificate = JSON.parse(new TextDecoder().decode(sink.files.get("certificate.json")));
  expect(written).toEqual(certificate);
  expect(written.written.map(({ name }) => name)).toEqual(
    [...sink.files.keys()].filter((name) => !["README.md", "certificate.json"].includes(name)).sort(),
  );
  for (const file of written.written) expect(file.sha256).toBe(sha256(sink.files.get(file.name)!));
  expect(written.source.map(({ name }) => name)).toEqual(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]);
  for (const file of written.source) {
    const given = source().files.find(({ name }) => name === file.name)!;
    expect(file).toEqual({ name: given.name, bytes: given.size, sha256: sha256(await given.read(0, given.size)) });
  }
  expect(written).toMatchObject({ certificate: 1, calibration: "abc", recipe: { format: "gptq", bits: 4 } });
  const weights = sink.files.get("model.safetensors")!;
  const header = 8 + Number(new DataView(weights.buffer).getBigUint64(0, true));
  expect(written.readBack).toEqual({ tensors: 14 * 4 + 7, bytes: weights.length - header });
  expect(files).toEqual([...sink.files.keys()]);
  expect(bytes).toBe([...sink.files.values()].reduce((sum, { length }) => sum + length, 0));
  expect(new TextDecoder().decode(sink.files.get("LICENSE"))).toBe("mine");
});

test("is the same whatever the adapter and whoever hashes; the card has its main lines", async () => {
  const [one, two] = [await exported(nodeHasher, "one"), await exported(plainHasher, "another")];
  expect(two.sink.files.get("certificate.json")).toEqual(one.sink.files.get("certificate.json"));
  const card = new TextDecoder().decode(one.sink.files.get("README.md"));
  const digestOf = (list: Certificate["source"]) => list.find(({ name }) => name === "model.safetensors")!.sha256;
  expect(card).toContain(`| SHA-256 of this model.safetensors | \`${digestOf(one.certificate.written)}\` |`);
  expect(card).toContain(`| SHA-256 of the source’s model.safetensors | \`${digestOf(one.certificate.source)}\` |`);
  expect(card).toMatch(/\| Read back \| 63 tensors, [\d,]+ bytes: each byte as it was to be written/);
});

test("progress goes on through writing, hashing and reading back to its end", async () => {
  const { seen } = await exported(nodeHasher, "one");
  expect(new Set(seen.map(([, , where]) => where))).toEqual(new Set(["writing", "hashing the source", "reading back"]));
  expect(new Set(seen.map(([, total]) => total)).size).toBe(1);
  expect(seen.every(([done], i) => i === 0 || done >= seen[i - 1][0])).toBe(true);
  expect(seen.at(-1)![0]).toBe(seen.at(-1)![1]);
});

test("a rotated model's source is the checkpoint that was opened", async () => {
  const model = await openModel(source());
  expect(inputFiles(await rotateModel(model, 1))).toEqual(inputFiles(model));
});

test("what was read back must be what it says", () => {
  const said = certificateOf({ recipe: recipeWith(), calibration: null, source: [], written: [], readBack: { tensors: 2, bytes: 9 } });
  expect(() => requireSame(said, { tensors: 2, bytes: 9 })).not.toThrow();
  expect(() => requireSame(said, { tensors: 1, bytes: 9 })).toThrow("1 tensors were read back");
  expect(() => requireSame(said, { tensors: 2, bytes: 8 })).toThrow("Please report");
});

test("verify compares files with their certificate", async () => {
  const { sink } = await exported(nodeHasher, "one");
  const files = new Map(sink.files);
  const check = () =>
    checkSource(
      memorySource(
        "out",
        [...files].map(([name, bytes]) => bytesFile(name, bytes)),
      ),
    );
  const told = async () =>
    (await check()).findings.filter(({ code }) => /certificate|missing-file/.test(code)).map(({ level, where }) => `${level} ${where}`);
  expect(await told()).toEqual(["ok "]);
  expect((await check()).passed).toBe(true);
  files.set("tokenizer.json", new TextEncoder().encode("[]"));
  expect(await told()).toEqual(["warning tokenizer.json"]);
  files.delete("tokenizer.json");
  expect(await told()).toEqual(["warning tokenizer.json"]);
  const flipped = files.get("model.safetensors")!.slice();
  // A code of a layer: every value stays finite, and only the digest can tell.
  flipped[flipped.length - 3] ^= 1;
  files.set("model.safetensors", flipped);
  expect(await told()).toContain("error model.safetensors");
  for (const nothing of ['{"written": [3]}', '{"written": []}', "{}"]) {
    files.set("certificate.json", new TextEncoder().encode(nothing));
    expect(await told()).toEqual(["error certificate.json"]);
  }
});

test("verify names weights that the certificate does not name", async () => {
  const { sink } = await exported(nodeHasher, "one");
  const files = [...sink.files].map(([name, bytes]) => bytesFile(name, bytes));
  const found = await checkSource(memorySource("out", [...files, bytesFile("other.gguf", new Uint8Array(8))]));
  const told = found.findings.filter(({ code }) => code === "certificate").map(({ level, where }) => `${level} ${where}`);
  expect(told).toEqual(["warning other.gguf", "ok "]);
  expect(found.passed).toBe(true);
});

test("digests of inputs are made once, in the background, and shared", async () => {
  const model = await openModel(source());
  let reads = 0;
  const files = model.source.files.map((file) => ({
    ...file,
    read(from: number, to: number) {
      reads++;
      return file.read(from, to);
    },
  }));
  const counting = { ...model, source: { ...model.source, files } };
  const digests = new Digests(nodeHasher);
  digests.begin(counting);
  const heard: number[] = [];
  const first = await digests.of(counting, (bytes) => heard.push(bytes));
  const after = reads;
  expect(after).toBeGreaterThan(0);
  expect(await digests.of(counting, (bytes) => heard.push(bytes))).toBe(first);
  expect(reads).toBe(after);
  expect(heard.at(-1)).toBe(inputFiles(model).reduce((sum, { size }) => sum + size, 0));
  digests.drop();
  await digests.of(counting, () => {});
  expect(reads).toBe(2 * after);
});

test("a cancel lets the background go on, a failure is tried again", async () => {
  const model = await openModel(source());
  let fails = true;
  const hashers: StartHasher = () => {
    const own = plainHasher();
    return {
      ...own,
      async update(bytes) {
        if (fails) throw new Error("not now");
        await own.update(bytes);
      },
    };
  };
  const digests = new Digests(hashers);
  digests.begin(model);
  await expect(digests.of(model, () => {})).rejects.toThrow("not now");
  fails = false;
  const waiting = new AbortController();
  const asked = digests.of(model, () => {}, waiting.signal);
  waiting.abort();
  await expect(asked).rejects.toMatchObject({ code: "cancelled" });
  expect(await digests.of(model, () => {})).toHaveLength(4);
  await expect(digests.of(model, () => {}, AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
});

test("a file in pieces has the digest of the whole, and hashers are closed", async () => {
  const bytes = Uint8Array.from({ length: 9 * 2 ** 20 + 5 }, (_, i) => (i * 31) & 255);
  for (const start of [plainHasher, nodeHasher]) expect(await sha256OfFile(bytesFile("f", bytes), start)).toBe(sha256(bytes));
  let open = 0;
  const counted: StartHasher = () => {
    open++;
    const own: Hasher = plainHasher();
    return { ...own, close: () => void open-- };
  };
  await expect(sha256OfFile(bytesFile("f", bytes), counted, undefined, AbortSignal.abort())).rejects.toMatchObject({ code: "cancelled" });
  expect(open).toBe(0);
  const sink = hashingSink(memorySink(), counted, () => {});
  await (await sink.create("a", 4)).write(new Uint8Array(2));
  await sink.abort();
  expect(open).toBe(0);
});
