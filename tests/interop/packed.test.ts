/** compressed-tensors, AWQ and dense exports in a chosen dtype, in transformers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { bitWidths, type Recipe } from "../../src/recipe/recipe";
import { startClients } from "../support/python";
import { plainRecipe, recipeWith } from "../support/recipe";
import { patched, words } from "./patch";
import { exportTwice, madeModel, perplexityOf, quantize } from "./studio";

const folder = mkdtempSync(join(tmpdir(), "qep-packed-"));
const clients = startClients();
afterAll(() => {
  clients.stop();
  rmSync(folder, { recursive: true, force: true });
});

const subjects = {
  /** Grouped queries. */
  gqa: madeModel(join(folder, "gqa"), { hidden: 64, intermediate: 128, heads: 4, config: { num_key_value_heads: 2 } }),
  /** Rows that fill no whole words. */
  ragged: madeModel(join(folder, "ragged"), { hidden: 40, intermediate: 72, heads: 2 }),
  wide: madeModel(join(folder, "wide"), { hidden: 128, intermediate: 256, heads: 4 }),
  qwen2: madeModel(join(folder, "qwen2"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen2" }),
  qwen3: madeModel(join(folder, "qwen3"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen3" }),
};
type Case = readonly [subject: keyof typeof subjects, change: Partial<Recipe>];

const tensors = (change: Partial<Recipe>): Partial<Recipe> => ({ format: "compressed-tensors", ...change });
const awq = (change: Partial<Recipe>): Partial<Recipe> => ({ format: "awq", bits: 4, ...change });
const actOrder = { ...plainRecipe.gptq, actOrder: true };

/** In `npm test`. */
const usual: Case[] = [
  ["gqa", tensors({ bits: 4, groupSize: 32, symmetric: true, method: "gptq", gptq: actOrder })],
  ["ragged", tensors({ bits: 3, symmetric: true })],
  ["ragged", tensors({ bits: 3 })],
  ["qwen2", tensors({ bits: 2, groupSize: 32, method: "gptq" })],
  [
    "qwen3",
    tensors({
      bits: 4,
      groupSize: 32,
      symmetric: true,
      rules: [
        { match: "down_proj", bits: 8 },
        { match: "layers.1.self_attn.q_proj", bits: 3, groupSize: -1 },
      ],
    }),
  ],
  ["gqa", tensors({ bits: 4, groupSize: 64, symmetric: true, blocks: 1 })],
  ["gqa", awq({ groupSize: 32, method: "awq" })],
  ["qwen2", awq({ groupSize: -1, symmetric: true, method: "gptq" })],
  ["gqa", awq({ groupSize: 64, blocks: 1 })],
];

/** In `npm run interop`: everything that fits the shapes. */
function matrix(): Case[] {
  const grids = [-1, 32, 64, 128].flatMap((groupSize) =>
    [true, false].map(
      (symmetric): Partial<Recipe> => ({ groupSize: groupSize as Recipe["groupSize"], symmetric, method: "gptq", gptq: actOrder }),
    ),
  );
  return grids.flatMap((grid): Case[] => [["wide", awq(grid)], ...bitWidths.map((bits): Case => ["wide", tensors({ ...grid, bits })])]);
}

/** The largest deviation of their perplexities from ours. */
let worst = 0;
afterAll(() => console.log(`Largest deviation of perplexity: ${worst}`));

async function exported(name: keyof typeof subjects, change: Partial<Recipe>) {
  const subject = subjects[name];
  const { packed, dense, perplexity, reopened } = await exportTwice(subject, recipeWith(change), mkdtempSync(join(folder, "case-")));
  return { job: { export: packed, dense, tokens: subject.evaluation, dtype: "float16" as const }, perplexity, reopened };
}

test.each(process.env.QEP_INTEROP === "all" ? [...usual, ...matrix()] : usual)("%s %j", async (name, change) => {
  const { job, perplexity, reopened } = await exported(name, change);
  const report = await clients.check({ ...job, perplexity });
  expect(report).toMatchObject({ exit: 0, message: "agrees", weight_difference: 0 });
  worst = Math.max(worst, Math.abs(report.perplexity! / perplexity - 1));
  expect(reopened).toBe(perplexity);
});

test.each(["f16", "bf16", "f32"] as const)("a dense export in %s", async (denseDtype) => {
  const subject = subjects.qwen2;
  const out = quantize(subject, join(folder, denseDtype), ["--bits", "4", "--dense-dtype", denseDtype, "--cpu"]);
  const perplexity = perplexityOf(out, subject, ["--cpu"]);
  const dtype = { f16: "float16", bf16: "bfloat16", f32: "float32" }[denseDtype];
  const report = await clients.check({ export: out, tokens: subject.evaluation, dtype: "float32", perplexity });
  expect(report).toMatchObject({ exit: 0, message: "agrees", dtypes: [dtype], said: dtype });
});

describe("the check sees", () => {
  const name = "model.layers.1.mlp.up_proj";
  const broken = async (change: Partial<Recipe>, tensor: string, edit: (data: Uint32Array) => void) => {
    const { job } = await exported("gqa", change);
    const other = await patched(job.export, mkdtempSync(join(folder, "broken-")), (parts) =>
      edit(words(parts.tensors, `${name}.${tensor}`)),
    );
    return clients.check({ ...job, export: other });
  };

  test.each([
    [tensors({ bits: 4, groupSize: 32, symmetric: true }), "weight_packed"],
    [tensors({ bits: 3, groupSize: 32 }), "weight_zero_point"],
    [awq({ groupSize: 32 }), "qzeros"],
  ])("one wrong code of %j in %s", async (change, tensor) => {
    const flipped = await broken(change, tensor, (data) => {
      data[0] ^= 1;
    });
    expect(flipped).toMatchObject({ exit: 4, message: expect.stringContaining(name) });
  });

  test("outputs of AWQ's words in another order", async () => {
    const swapped = await broken(awq({ groupSize: 32 }), "qweight", (data) => {
      for (let i = 0; i < data.length; i++) data[i] = (data[i] << 16) | (data[i] >>> 16);
    });
    expect(swapped).toMatchObject({ exit: 4 });
  });

  test("what the notes say: transformers cannot load asymmetric layers of several bit widths", async () => {
    const { job } = await exported("gqa", tensors({ bits: 4, groupSize: 32, rules: [{ match: "down_proj", bits: 2 }] }));
    expect((await clients.check(job)).exit).not.toBe(0);
  });
});
