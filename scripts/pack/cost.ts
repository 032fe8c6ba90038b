/** What QEP adds to a run: whole runs of the engine over two blocks, T = 4 · hidden, down_proj included. */
import type { Ops } from "../../src/ops/ops";
import type { Recipe } from "../../src/recipe/recipe";
import { openMade, recipeOf, report, type Size, type Windows } from "./models";
import { digits, duration } from "./timing";
import type { Row, Teller } from "./types";

const recipes: Record<string, Recipe> = {
  RTN: recipeOf("rtn", 0),
  "RTN + QEP": recipeOf("rtn", 0.5),
  GPTQ: recipeOf("gptq", 0),
  "GPTQ + QEP": recipeOf("gptq", 0.5),
  AWQ: recipeOf("awq", 0),
};

/** What may cost how much, and of what. */
const goals: Record<string, { of: string; most: number }> = {
  "RTN + QEP": { of: "RTN", most: 2 },
  "GPTQ + QEP": { of: "GPTQ", most: 1.35 },
  AWQ: { of: "GPTQ", most: 3 },
};

/** Rows of measured seconds, by recipe. */
export function costRows(seconds: Readonly<Record<string, number>>, sizes: string): Row[] {
  return Object.entries(seconds).map(([name, s]) => {
    const goal = goals[name];
    const base = goal && seconds[goal.of];
    if (!base) return { what: `${name}, ${sizes}`, measured: duration(s), goal: null, met: null, why: null };
    const times = s / base;
    return {
      what: `${name}, ${sizes}`,
      measured: `${duration(s)}, ${digits(times)}× ${goal.of}`,
      goal: `≤ ${goal.most}× ${goal.of}`,
      met: times <= goal.most,
      why: null,
    };
  });
}

/** Each recipe once on a small model, which compiles its kernels, then `rounds` times in turn; the least counts. */
export async function costs(ops: Ops, size: Size, windows: Windows, rounds: number, tell: Teller): Promise<void> {
  const small = { hidden: 128, intermediate: 384, blocks: 1, heads: 2, vocabulary: 256 };
  const warm = await openMade(small);
  for (const [name, recipe] of Object.entries(recipes)) {
    tell.doing(`${name}, compiling`);
    await report(ops, warm, small, { windows: 2, length: 64 }, recipe);
  }
  const model = await openMade(size);
  const seconds: Record<string, number> = {};
  const measure = async (name: string) => {
    tell.doing(name);
    const { ms } = await report(ops, model, size, windows, recipes[name]);
    seconds[name] = Math.min(seconds[name] ?? Number.POSITIVE_INFINITY, ms / 1000);
  };
  const sizes = `${size.blocks} blocks of ${size.hidden} / ${size.intermediate}, T = ${windows.windows * windows.length}`;
  for (let round = 0; round < rounds; round++) for (const name of Object.keys(recipes)) await measure(name);
  for (const row of costRows(seconds, sizes)) tell.row(row);
}
