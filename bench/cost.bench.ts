/** What QEP and AWQ cost: whole runs of the engine, in turn, on a model that is made up. `npm run bench -- --only cost` */
import { expect, test } from "vitest";
import { openMade, report, type Size, type Windows } from "../scripts/pack/models";
import { digits, duration } from "../scripts/pack/timing";
import { runWork } from "../src/engine/work";
import type { GpuOps } from "../src/ops/gpu";
import { resolve } from "../src/quant/resolve";
import type { Recipe } from "../src/recipe/recipe";
import { openGpuOps } from "../tests/support/gpu";
import { recipeWith } from "../tests/support/recipe";
import { fact, judged, type Row, small, write } from "./support/report";
import { median, medianRatio } from "./support/times";

/** As many tokens as four times the widest layer's inputs. */
const size: Size = small
  ? { hidden: 64, intermediate: 160, blocks: 2, heads: 2, vocabulary: 256 }
  : { hidden: 384, intermediate: 1056, blocks: 2, heads: 6, vocabulary: 256 };
const length = small ? 32 : 128;
const windows: Windows = { windows: (4 * size.intermediate) / length, length };

/** Rounds are measured until this is over, but two at least and four at most. */
const leastSeconds = 240;

/** The first block of two, 4 bits a row. QEP corrects down_proj too, which the plain recipe leaves out. */
const recipeOf = (method: Recipe["method"], alpha: number): Recipe =>
  recipeWith({ method, bits: 4, groupSize: -1, blocks: 1, rules: [{ match: "down_proj", alpha }] }, { alpha });

const recipes = {
  RTN: recipeOf("rtn", 0),
  "RTN + QEP": recipeOf("rtn", 0.5),
  GPTQ: recipeOf("gptq", 0),
  "GPTQ + QEP": recipeOf("gptq", 0.5),
  AWQ: recipeOf("awq", 0),
};
type Name = keyof typeof recipes;
const names = Object.keys(recipes) as Name[];

const goals: { name: Name; of: Name; most: number; why: string }[] = [
  {
    name: "GPTQ + QEP",
    of: "GPTQ",
    most: 1.35,
    why: "QEP adds C (2·T·n² a stage), the inputs' drift, W·C and two products with a triangle.",
  },
  { name: "RTN + QEP", of: "RTN", most: 2, why: "RTN alone needs no H and no factor, and QEP needs both, C and the drift." },
  { name: "AWQ", of: "GPTQ", most: 3, why: "AWQ tries 20 scales for each stage, and a clip for each group." },
];

/** Every recipe in turn, on one model, as the runs' own reports tell their time. */
async function measure(ops: GpuOps): Promise<{ seconds: Record<Name, number[]>; work: Record<Name, number> }> {
  const tiny = { ...size, hidden: 64, intermediate: 192, blocks: 1, heads: 2 };
  const warm = await openMade(tiny);
  // Which compiles the kernels; a run's outcome is looked at each time.
  for (const name of names) await report(ops, warm, tiny, { windows: 2, length: 32 }, recipes[name]);
  const model = await openMade(size);
  const load = { tokens: windows.windows * windows.length, heldTokens: 0, length };
  const work = Object.fromEntries(names.map((name) => [name, runWork(model.spec, resolve(recipes[name], model), load, false)]));
  const seconds = Object.fromEntries(names.map((name) => [name, [] as number[]]));
  const started = performance.now();
  for (let round = 0; round < 4 && (round < 2 || performance.now() - started < 1000 * leastSeconds); round++) {
    for (const name of names) seconds[name].push((await report(ops, model, size, windows, recipes[name])).ms / 1000);
    console.log(`round ${round + 1}: ${names.map((name) => `${name} ${duration(seconds[name][round])}`).join(", ")}`);
  }
  return { seconds, work } as Awaited<ReturnType<typeof measure>>;
}

test("cost", async () => {
  const ops = await openGpuOps();
  const { seconds, work } = await measure(ops);
  const rows: Row[] = goals.map(({ name, of, most, why }) => {
    const ratio = medianRatio(seconds[name], seconds[of]);
    const counted = work[name] / work[of];
    return judged({
      what: `${name}, against ${of}`,
      measured: `${digits(ratio)}× (${duration(median(seconds[name]))} and ${duration(median(seconds[of]))})`,
      value: ratio,
      goal: { most, text: `≤ ${most}×` },
      why: `by operations alone, as the plan counts them, it is ${digits(counted)}×: ${why}`,
    });
  });
  rows.push(fact("RTN", duration(median(seconds.RTN))));
  await write(
    {
      name: "cost",
      title: "What QEP and AWQ add to a run",
      order: 12,
      adapter: `${ops.adapter.description} in Node with Dawn`,
      intro:
        `One quantized block of two, ${size.hidden} / ${size.intermediate} wide, T = 4·${size.intermediate} tokens in windows of ${length}, 4 bits a row, down_proj ` +
        `corrected too; the times are those of the runs' reports, both residual streams and the second block's forward included. ${seconds.RTN.length} rounds, ` +
        "in turn; ratios are medians over rounds.",
    },
    rows,
  );
  expect(rows).toHaveLength(4);
}, 1_800_000);
