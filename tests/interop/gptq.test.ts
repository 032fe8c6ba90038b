import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bitWidths, type Recipe } from "../../src/recipe/recipe";
import { startClients } from "../support/python";
import { plainRecipe, recipeWith } from "../support/recipe";
import { exportTwice, madeModel, shortDemo } from "./studio";

const folder = mkdtempSync(join(tmpdir(), "qep-gptq-"));
const clients = startClients();
afterAll(() => {
  clients.stop();
  rmSync(folder, { recursive: true, force: true });
});

const subjects = {
  demo: shortDemo(join(folder, "demo.npy")),
  /** Heads with keys of their own, tied embeddings. */
  mha: madeModel(join(folder, "mha"), { hidden: 128, intermediate: 256, heads: 4 }),
  /** Multiples of 32 that nothing larger divides. */
  odd: madeModel(join(folder, "odd"), { hidden: 96, intermediate: 160, heads: 6 }),
  qwen2: madeModel(join(folder, "qwen2"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen2" }),
  qwen3: madeModel(join(folder, "qwen3"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen3" }),
};
type Case = readonly [subject: keyof typeof subjects, change: Partial<Recipe>];

const actOrder = { ...plainRecipe.gptq, actOrder: true };
const ordered: Partial<Recipe> = { method: "gptq", gptq: actOrder };

/** In `npm test`. */
const usual: Case[] = [
  ["demo", { method: "gptq", bits: 4, groupSize: 32, symmetric: true }],
  ["mha", { ...ordered, bits: 2, groupSize: 64 }],
  ["mha", { bits: 8, groupSize: 128, symmetric: true }],
  ["odd", { method: "gptq", bits: 3, groupSize: 32, gptq: { ...actOrder, mse: true } }],
  ["qwen2", { bits: 4, groupSize: 32, symmetric: true }],
  ["qwen3", { bits: 3 }],
  ["mha", { method: "gptq", bits: 4, groupSize: 32, symmetric: true, rotation: 0 }],
  ["qwen2", { bits: 3, rotation: 7 }],
];

/** For GPTQModel alone. */
const mixed: Case[] = [true, false].flatMap((symmetric): Case[] => [
  [
    "mha",
    {
      ...ordered,
      destination: "gptqmodel",
      bits: 4,
      groupSize: 32,
      symmetric,
      rules: [
        { match: "down_proj", bits: 8 },
        { match: "layers.1.self_attn.q_proj", bits: 2, groupSize: 128 },
        { match: "layers.0.self_attn.o_proj", bits: 3, groupSize: -1 },
      ],
    },
  ],
  ["qwen2", { destination: "gptqmodel", bits: 3, groupSize: 32, symmetric, blocks: 1, rules: [{ match: "down_proj", bits: 8 }] }],
]);

/** In `npm run interop`: everything that fits the shapes. */
function matrix(): Case[] {
  const groups = { demo: [32], mha: [-1, 32, 64, 128], odd: [-1, 32] } as const;
  return (["demo", "mha", "odd"] as const).flatMap((subject) =>
    bitWidths.flatMap((bits) =>
      groups[subject].flatMap((groupSize) =>
        [true, false].flatMap((symmetric): Case[] => [
          [subject, { bits, groupSize, symmetric }],
          [subject, { ...ordered, bits, groupSize, symmetric }],
        ]),
      ),
    ),
  );
}

/** How far from exact it gets, over all cases. */
const worst = { logits: 0, float16: 0, float32: 0 };
afterAll(() => console.log(`Largest deviations: ${JSON.stringify(worst)}`));
const off = (a: number, b: number) => Math.abs(a / b - 1);

const agrees = { exit: 0, message: "agrees", weight_difference: 0 };

async function exported(name: keyof typeof subjects, change: Partial<Recipe>) {
  const out = mkdtempSync(join(folder, "case-"));
  const { packed, dense, ...perplexities } = await exportTwice(subjects[name], recipeWith({ format: "gptq", ...change }), out);
  return { out, job: { export: packed, dense, tokens: subjects[name].evaluation }, ...perplexities };
}

test.each(process.env.QEP_INTEROP === "all" ? [...usual, ...matrix()] : usual)("%s %j", async (name, change) => {
  const { out, job, perplexity, reopened } = await exported(name, change);
  for (const [client, dtype] of [
    ["transformers", "float16"],
    ["gptqmodel", "float16"],
    // As ours: perplexities can be compared closely. GPTQModel's own loader takes no f32.
    ["transformers", "float32"],
  ] as const) {
    const report = await clients.check({ ...job, client, dtype, perplexity });
    expect(report, `${client} ${dtype}`).toMatchObject(agrees);
    worst.logits = Math.max(worst.logits, report.logit_difference!);
    worst[dtype] = Math.max(worst[dtype], off(report.perplexity!, perplexity));
  }
  // Opened again by ourselves it has the clients' weights, which are the dense ones.
  expect(reopened).toBe(perplexity);
  rmSync(out, { recursive: true });
});

test.each(mixed)("GPTQModel: %s %j", async (name, change) => {
  const { job, perplexity, reopened } = await exported(name, change);
  expect(await clients.check({ ...job, client: "gptqmodel", dtype: "float16", perplexity })).toMatchObject(agrees);
  expect(reopened).toBe(perplexity);
});

test("the check sees a layer that `dynamic` gives other bits than it has", async () => {
  const { out, job } = await exported(...mixed[0]);
  const packed = join(out, "broken");
  cpSync(job.export, packed, { recursive: true });
  const config = JSON.parse(readFileSync(join(packed, "config.json"), "utf8"));
  delete config.quantization_config.dynamic;
  writeFileSync(join(packed, "config.json"), JSON.stringify(config));
  expect((await clients.check({ ...job, export: packed, client: "gptqmodel" })).exit).not.toBe(0);
});
