/** The steps of a run whose times grow with one size, each timed and its outcome looked at. */
import { type Ops, type Tensor, tensorsOf } from "../../src/ops/ops";
import { freeFactor, type InverseFactor, inverseFactor, timesInverse } from "../../src/quant/factor";
import { gptq } from "../../src/quant/gptq";
import { onGrid, stageOf } from "../../tests/support/stage";
import { differs, values } from "./check";
import { recipeOf } from "./models";
import { secondsOf } from "./timing";

/** H and C of one stage over so many tokens. @throws if their last rows are wrong. */
export async function sums(ops: Ops, tokens: number, n: number): Promise<number> {
  const scope = ops.scope();
  try {
    const [x, d] = [7, 8].map((seed) => values(seed, [tokens, n]));
    const [X, D] = [x, d].map((data) => ops.fromFloats(data, [tokens, n]));
    const make = () => {
      const [H, C] = [ops.zeros([n, n]), ops.zeros([n, n])];
      ops.gram(H, X);
      ops.crossGram(C, D, X);
      return [H, C];
    };
    const seconds = await secondsOf(ops, () => ops.free(...make()));
    const [h, c] = await ops.read(make().map((sum) => ops.everyRow(sum, n - 1, 1)));
    for (let j = 0; j < n; j += 37)
      for (const [name, row, left] of [["H", h, x] as const, ["C", c, d] as const]) {
        const wrong = differs(row[j], tokens, (t) => left[t * n + n - 1] * x[t * n + j]);
        if (wrong) throw new Error(`${name} of ${tokens} × ${n}: entry ${n - 1}, ${j} ${wrong}`);
      }
    return seconds;
  } finally {
    scope.end();
  }
}

const settings = { damp: 0.01, actOrder: false };

/** The factor of n inputs, and GPTQ's sweep over n × n weights with it. @throws if either is wrong. */
export async function columns(ops: Ops, n: number): Promise<{ factor: number; sweep: number }> {
  const scope = ops.scope();
  try {
    const x = ops.fromFloats(values(9, [n + 64, n]), [n + 64, n]);
    const H = ops.zeros([n, n]);
    ops.gram(H, x);
    ops.mirror(H);
    const factor = await secondsOf(ops, async () => freeFactor(ops, await inverseFactor(ops, H, settings)));
    const made = await inverseFactor(ops, H, settings);
    await checkFactor(ops, H, made);
    const recipe = recipeOf("gptq", 0);
    const W = ops.fromFloats(values(10, [n, n]), [n, n]);
    const stage = { ...stageOf(recipe, W, H), factor: made };
    const round = async () => onGrid((await gptq.quantize(stage, recipe, ops)).layers[0]);
    const sweep = await secondsOf(ops, async () => {
      const { codes, grid } = await round();
      ops.free(codes, ...tensorsOf(grid));
    });
    const { codes, grid } = await round();
    const [partial] = await ops.read([ops.squaredDifference(ops.decode(codes, grid), W)]);
    let [off, all] = [0, 0];
    for (let i = 0; i < partial.length; i += 2) [off, all] = [off + partial[i], all + partial[i + 1]];
    // Rounded to nearest, uniform weights would be off by a fifteenth's square over four: 0.4 %. Making up for other errors costs more.
    if (!(off > 0 && off < 0.1 * all)) throw new Error(`GPTQ of ${n} × ${n}: the weights are off by ${off} of ${all}`);
    return { factor, sweep };
  } finally {
    scope.end();
  }
}

/** A row of H + λI, solved for, must be a row of I. */
async function checkFactor(ops: Ops, H: Tensor, factor: InverseFactor): Promise<void> {
  const n = H.shape[0];
  const row = n >> 1;
  const A = ops.permuteSquare(H, null, false);
  ops.damp(A, factor.tried.at(-1)!);
  const [unit] = await ops.read([timesInverse(ops, factor, ops.everyRow(A, row, 1, 1))]);
  ops.free(A);
  const off = Math.hypot(...Array.from(unit, (v, j) => v - (j === row ? 1 : 0)));
  if (!(off <= (4 / settings.damp) * Math.sqrt(n) * 2 ** -22)) throw new Error(`the factor of ${n} is off by ${off}`);
}
