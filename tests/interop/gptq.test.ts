import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { bitWidths } from "../../src/recipe/recipe";
import { startClients } from "../support/python";
import { madeModel, perplexityOf, quantize, shortDemo } from "./studio";

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
type Case = readonly [subject: keyof typeof subjects, flags: string];

/** In `npm test`. */
const usual: Case[] = [
  ["demo", "--method gptq --bits 4 --group-size 32 --sym"],
  ["mha", "--method gptq --bits 2 --group-size 64 --act-order"],
  ["mha", "--method rtn --bits 8 --group-size 128 --sym"],
  ["odd", "--method gptq --bits 3 --group-size 32 --act-order --mse"],
  ["qwen2", "--bits 4 --group-size 32 --sym --cpu"],
  ["qwen3", "--bits 3 --cpu"],
  ["mha", "--method gptq --bits 4 --group-size 32 --sym --rotate --cpu"],
  ["qwen2", "--bits 3 --rotate --rotation-seed 7 --cpu"],
];

/** In `npm run interop`: everything that fits the shapes; the small models on the reference, which takes no time there. */
function matrix(): Case[] {
  const plain: Case = ["demo", "--method gptq --bits 3 --group-size -1"];
  const groups = { demo: [-1, 32, 64], mha: [-1, 32, 64, 128], odd: [-1, 32] };
  const methods = ["--method rtn", "--method rtn --sym", "--method gptq --act-order", "--method gptq --act-order --sym"];
  const all = (["demo", "mha", "odd"] as const).flatMap((subject) =>
    bitWidths.flatMap((bits) =>
      groups[subject].flatMap((size) =>
        methods.map((method): Case => [subject, `${method} --bits ${bits} --group-size ${size}${subject === "demo" ? "" : " --cpu"}`]),
      ),
    ),
  );
  return [plain, ...all];
}

/** How far from exact it gets, over all cases. */
const worst = { logits: 0, float16: 0, float32: 0 };
afterAll(() => console.log(`Largest deviations: ${JSON.stringify(worst)}`));
const off = (a: number, b: number) => Math.abs(a / b - 1);

test.each(process.env.QEP_INTEROP === "all" ? [...usual, ...matrix()] : usual)("%s %s", async (name, line) => {
  const [subject, flags] = [subjects[name], line.split(" ")];
  const reference = flags.includes("--cpu") ? ["--cpu"] : [];
  const out = mkdtempSync(join(folder, "case-"));
  const packed = quantize(subject, join(out, "packed"), [...flags, "--format", "gptq"]);
  const dense = quantize(subject, join(out, "dense"), [...flags, "--format", "dense"]);
  const perplexity = perplexityOf(dense, subject, reference);
  const tokens = subject.evaluation;
  const agrees = { exit: 0, message: "agrees" };
  expect(await clients.check({ export: dense, tokens, dtype: "float32", perplexity })).toMatchObject(agrees);
  for (const [client, dtype] of [
    ["transformers", "float16"],
    ["gptqmodel", "float16"],
    // As ours: perplexities can be compared closely. GPTQModel's own loader takes no f32.
    ["transformers", "float32"],
  ] as const) {
    const report = await clients.check({ export: packed, dense, tokens, client, dtype, perplexity });
    expect(report, `${client} ${dtype}`).toMatchObject({ ...agrees, weight_difference: 0 });
    worst.logits = Math.max(worst.logits, report.logit_difference!);
    worst[dtype] = Math.max(worst[dtype], off(report.perplexity!, perplexity));
  }
  // Opened again by ourselves it has the clients' weights, which are the dense ones.
  expect(perplexityOf(packed, subject, reference)).toBe(perplexity);
  rmSync(out, { recursive: true });
});
