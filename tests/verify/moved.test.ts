/** Files that a run of ours vouches for, whose layers it moved away from the original's. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source } from "../../src/io/types";
import { mulberry32 } from "../../src/model/random";
import { safetensors } from "../support/tiny";
import { check, codesOf, exportFor, scale } from "./files";

const isLayer = (name: string) => /_proj\.weight$/.test(name);
const recipe = (method: string, alpha: number) => JSON.stringify({ method, qep: { alpha } });

/** A dense export whose tensors of these names have each value multiplied by a random factor in ±(√3·off), to which 1 is added: ‖W − Ŵ‖ ≈ off · ‖W‖. */
async function moved(names: (name: string) => boolean, off: number, files: Record<string, string>) {
  const { model, again } = await exportFor({ format: "dense", method: "rtn", bits: 8, groupSize: 32 });
  const next = mulberry32(3);
  const source = await again({
    files,
    tensors(t) {
      for (const name of [...t.keys()].filter(names)) scale(t, name, () => 1 + Math.sqrt(3) * off * (next() / 2 ** 31 - 1));
    },
  });
  return { model, source };
}

/** With certificate.json of its files. */
async function certified(source: Source): Promise<Source> {
  const written = await Promise.all(
    source.files.map(async (file) => {
      const bytes = await file.read(0, file.size);
      return { name: file.name, bytes: file.size, sha256: createHash("sha256").update(bytes).digest("hex") };
    }),
  );
  return memorySource(source.label, [...source.files, bytesFile("certificate.json", JSON.stringify({ written }))]);
}

const down = (name: string) => name.endsWith("down_proj.weight");

test("layers that QEP moved far are told, and the file is sound", async () => {
  const { model, source } = await moved(down, 1.5, { "recipe.json": recipe("gptq", 1) });
  const found = await check(await certified(source), { original: model });
  expect(codesOf(found)).toEqual(["warning far-from-original"]);
  expect(found.passed).toBe(true);
  expect(JSON.stringify(found.findings)).toMatch(/QEP's correction moved layers far .* up to 1\.5.*down_proj/);
  expect(found.layers!.filter(({ scaled }) => scaled)).toEqual([]);
});

test("nothing vouches for a file without a certificate, of a run without QEP, or whose layers are far throughout", async () => {
  const far = "error far-from-original";
  const uncertified = await moved(down, 1.5, { "recipe.json": recipe("gptq", 1) });
  expect(codesOf(await check(uncertified.source, { original: uncertified.model }))).toEqual([far]);
  const base = await moved(down, 1.5, { "recipe.json": recipe("gptq", 0) });
  expect(codesOf(await check(await certified(base.source), { original: base.model }))).toEqual([far]);
  const throughout = await moved(isLayer, 1.5, { "recipe.json": recipe("gptq", 1) });
  expect(codesOf(await check(await certified(throughout.source), { original: throughout.model }))).toEqual([far]);
});

test("a certificate vouches for a file that is whole, and for no others", async () => {
  const { model, source } = await moved(down, 1.5, { "recipe.json": recipe("gptq", 1) });
  const whole = await certified(source);
  const changed = whole.files.map((file) => (file.name === "tokenizer_config.json" ? bytesFile(file.name, "{ }") : file));
  const found = await check({ ...whole, files: changed }, { original: model });
  expect(codesOf(found)).toEqual(["error far-from-original", "warning certificate"]);
  expect(JSON.stringify(found.findings)).not.toMatch(/SHA-256 of all/);
  const more = [...whole.files, bytesFile("adapter_model.safetensors", safetensors(new Map()))];
  expect(codesOf(await check({ ...whole, files: more }, { original: model }))).toContain("error far-from-original");
  const unnamed = await certified({ ...source, files: source.files.filter(({ name }) => name !== "recipe.json") });
  const added = [...unnamed.files, bytesFile("recipe.json", recipe("gptq", 1))];
  expect(codesOf(await check({ ...unnamed, files: added }, { original: model }))).toEqual(["error far-from-original"]);
});

test("progress is that of hashing and checking together, and never falls", async () => {
  const { source } = await moved(down, 0.1, { "recipe.json": recipe("gptq", 1) });
  const shares: [share: number, where: string][] = [];
  const progress = (done: number, total: number, where: string) => shares.push([done / total, where]);
  await check(await certified(source), { progress });
  const isHash = ([, where]: (typeof shares)[number]) => where === "model.safetensors";
  expect(shares.findLast(isHash)![0]).toBeLessThan(0.6);
  expect(shares.map(([share]) => share)).toEqual(shares.map(([share]) => share).sort((a, b) => a - b));
  expect(shares.at(-1)![0]).toBeGreaterThan(0.95);
});

test("a recipe.json that cannot be read, or is another program's, tells nothing", async () => {
  const { model, again } = await exportFor({ format: "dense", method: "rtn", bits: 8, groupSize: 32 });
  for (const text of ["{", "[]", '{"steps": ["quantize"]}']) {
    const found = await check(await again({ files: { "recipe.json": text } }), { original: model });
    expect(codesOf(found), text).toEqual([]);
  }
});

test("a correction is taken for AWQ's scale only where the run had AWQ", async () => {
  // Columns of down_proj that are scaled, and rows of up_proj that are not.
  const columns = (t: Parameters<typeof scale>[0]) => {
    for (const name of [...t.keys()].filter(down)) scale(t, name, (i) => (i % 2 ? 1.6 : 0.6));
  };
  const { model, again } = await exportFor({ format: "dense", method: "rtn", bits: 8, groupSize: 32 });
  const codes = async (method: string) => {
    const source = await again({ files: { "recipe.json": recipe(method, 1) }, tensors: columns });
    const { layers, ...found } = await check(await certified(source), { original: model });
    return [...codesOf({ layers, ...found }), layers!.some(({ scaled }) => scaled)];
  };
  expect(await codes("gptq")).toEqual([false]);
  expect(await codes("awq")).toEqual(["error values", true]);
});
