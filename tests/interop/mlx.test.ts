import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { folderSource } from "../../src/io/node";
import { openShards } from "../../src/io/shards";
import type { FormatId, Recipe } from "../../src/recipe/recipe";
import { startClients } from "../support/python";
import { plainRecipe, recipeWith } from "../support/recipe";
import { exportTwice, madeModel, shortDemo } from "./studio";

/** MLX has no packages for Windows, nor for Linux with a C library other than glibc from 2.35 on. */
const glibc = (process.report.getReport() as { header: { glibcVersionRuntime?: string } }).header.glibcVersionRuntime;
const [major, minor] = (glibc ?? "0.0").split(".").map(Number);
const hasMlx = process.platform === "darwin" || (process.platform === "linux" && (major > 2 || (major === 2 && minor >= 35)));
const why = `MLX cannot be installed on ${process.platform}${process.platform === "linux" ? ` with glibc ${glibc ?? "absent"}: it wants 2.35` : ""}`;

const folder = mkdtempSync(join(tmpdir(), "qep-mlx-"));
const clients = hasMlx ? startClients("check_mlx.py") : null;
afterAll(() => {
  clients?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const subjects = {
  /** Grouped queries, an output matrix of its own. */
  demo: shortDemo(join(folder, "demo.npy")),
  /** Tied embeddings. Rows of 128 and 256 inputs. */
  mha: madeModel(join(folder, "mha"), { hidden: 128, intermediate: 256, heads: 4 }),
  /** Rows of 96 and 160 inputs: a scale a row becomes one for every 32. */
  odd: madeModel(join(folder, "odd"), { hidden: 96, intermediate: 160, heads: 6 }),
  qwen2: madeModel(join(folder, "qwen2"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen2" }),
  /** Grouped queries, and scaled rotary embeddings where only transformers 5 looks for them. */
  llama3: madeModel(join(folder, "llama3"), {
    hidden: 64,
    intermediate: 128,
    heads: 2,
    config: {
      num_key_value_heads: 1,
      rope_theta: undefined,
      rope_parameters: {
        rope_type: "llama3",
        rope_theta: 500,
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: 4,
        original_max_position_embeddings: 32,
      },
    },
  }),
  /** Settings that transformers and mlx-lm read differently. */
  yarn: madeModel(join(folder, "yarn"), {
    hidden: 64,
    intermediate: 128,
    heads: 2,
    config: { rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 32, mscale: 0.7, attention_factor: 1 } },
  }),
  qwen3: madeModel(join(folder, "qwen3"), { hidden: 64, intermediate: 96, heads: 2, family: "qwen3" }),
};
type Case = readonly [subject: keyof typeof subjects, change: Partial<Recipe>];

/** In `npm test`. */
const usual: Case[] = [
  ["llama3", { method: "gptq", bits: 3, groupSize: 64, gptq: { ...plainRecipe.gptq, actOrder: true, mse: true } }],
  ["yarn", { bits: 4, groupSize: 64 }],
  ["odd", { bits: 2 }],
  ["qwen2", { method: "gptq", bits: 4, groupSize: 32, zeros: "real" }],
  // It divides the rows of v and up after they were quantized, scales and all.
  ["qwen2", { method: "awq", bits: 4, groupSize: -1, zeros: "real" }],
  ["qwen3", { method: "awq", bits: 4, groupSize: 32, blocks: 1 }],
  [
    "mha",
    {
      bits: 4,
      groupSize: 128,
      rules: [
        { match: "o_proj", bits: 3 },
        { match: "layers.1.mlp.down_proj", groupSize: 32 },
        { match: "v_proj", bits: 2, groupSize: -1 },
      ],
    },
  ],
  ["qwen2", { bits: 3, groupSize: 32, rotation: 7 }],
  ["llama3", { bits: 4, groupSize: 64, symmetric: true }],
];

/** In `npm run interop`: everything that fits the shapes; on the demo a trained model. */
function matrix(): Case[] {
  const groups = { demo: [-1, 32, 64], mha: [-1, 32, 64, 128], odd: [-1, 32] } as const;
  const grids: Partial<Recipe>[] = [
    { symmetric: true },
    {},
    { zeros: "real", method: "gptq" },
    { method: "gptq", gptq: { ...plainRecipe.gptq, mse: true } },
  ];
  return (["demo", "mha", "odd"] as const).flatMap((name) =>
    ([2, 3, 4] as const).flatMap((bits) =>
      groups[name].flatMap((groupSize) => grids.map((grid): Case => [name, { bits, groupSize, ...grid }])),
    ),
  );
}

const tested = test.runIf(hasMlx);
test.skipIf(hasMlx)(`is left out: ${why}`, () => {});

/** The largest deviation of its perplexities from ours. */
let worst = 0;
afterAll(() => console.log(`Largest deviation of MLX's perplexity: ${worst}`));

/** @param madeFor the format whose grid it has. */
async function exported(name: keyof typeof subjects, change: Partial<Recipe>, madeFor: FormatId = "mlx") {
  const subject = subjects[name];
  const made = await exportTwice(subject, recipeWith({ ...change, format: madeFor }), mkdtempSync(join(folder, "case-")), "mlx");
  return { ...made, tokens: subject.evaluation };
}

tested.each(process.env.QEP_INTEROP === "all" ? [...usual, ...matrix()] : usual)(
  "%s %j: MLX's weights are ours, bit for bit",
  async (name, change) => {
    const { packed, dense, tokens, perplexity, reopened } = await exported(name, change);
    const report = await clients!.check({ export: packed, dense, tokens, perplexity });
    expect(report).toMatchObject({ exit: 0, message: "agrees", weight_difference: 0, dtypes: ["float16"] });
    expect(report.packed! + report.float_layers!).toBe(name === "demo" ? 84 : 14);
    expect(report.float_layers).toBe(change.blocks ? 7 : 0);
    worst = Math.max(worst, Math.abs(report.perplexity! / perplexity - 1));
    // The demo's embeddings are bf16, and f16 here.
    if (name === "demo") expect(reopened / perplexity).toBeCloseTo(1, 3);
    else expect(reopened).toBe(perplexity);
  },
);

tested.each([
  [true, 1 / 8],
  [false, 1 / 4],
])("8 bits, symmetric %s, are off by no more than the notes say, because MLX rounds", async (symmetric, most) => {
  const { packed, dense, tokens, perplexity } = await exported("llama3", { bits: 8, groupSize: 64, symmetric });
  const report = await clients!.check({ export: packed, dense, tokens, perplexity });
  expect(report).toMatchObject({ exit: 4, message: expect.stringContaining("MLX makes other weights") });
  expect(report.steps).toBeGreaterThan(most / 4);
  expect(report.steps).toBeLessThanOrEqual(most);
});

describe.runIf(hasMlx)("the check sees", () => {
  test("scales as long as f16 has them, with which MLX rounds", async () => {
    const { packed, dense, tokens } = await exported("llama3", { bits: 4, groupSize: 64 }, "gptq");
    const report = await clients!.check({ export: packed, dense, tokens });
    expect(report).toMatchObject({ exit: 4 });
    expect(report.steps).toBeLessThan(0.01);
  });

  test("one bias that is off by its last bit", async () => {
    const { packed, dense, tokens, perplexity } = await exported("llama3", { bits: 4, groupSize: 64 });
    const { start } = (await openShards(await folderSource(packed))).tensors.get("model.layers.1.mlp.up_proj.biases")!;
    const file = join(packed, "model.safetensors");
    const bytes = readFileSync(file);
    bytes[start] ^= 1;
    writeFileSync(file, bytes);
    expect(await clients!.check({ export: packed, dense, tokens, perplexity })).toMatchObject({
      exit: 4,
      message: expect.stringContaining("['model.layers.1.mlp.up_proj.weight']"),
    });
  });

  test("a config.json that says of rotary embeddings only what transformers 5 reads", async () => {
    const { packed, tokens, perplexity } = await exported("llama3", { bits: 4, groupSize: 64 });
    const file = join(packed, "config.json");
    const { rope_theta: _, rope_scaling: __, ...rest } = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify(rest));
    expect(await clients!.check({ export: packed, tokens, perplexity })).toMatchObject({ exit: 7 });
  });
});
