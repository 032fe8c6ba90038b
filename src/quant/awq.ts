import { throwIfCancelled } from "../errors";
import { using } from "../ops/activations";
import { isSearched } from "../ops/grid-kinds";
import type { Ops, Tensor } from "../ops/ops";
import { exponents, isModule, modulePasses, searchScale } from "./awq-search";
import type { QuantizedLayer, Quantizer, StageView } from "./quantizer";
import { roundToNearest } from "./rtn";

/** The clip search looks at every ⌊tokens/512⌋-th token. */
const clipTokens = 512;

/**
 * AWQ (Lin et al., 2023): inputs with large activations get finer steps. A scale s = mean|x|^r per input is multiplied into the weights and divided out
 * in the operation before; r is the exponent for which the module's output over X has the least error. Then each group's range is clipped to where its
 * output error is least (not for q and k, whose outputs meet in a softmax), and weights are rounded to nearest.
 *
 * A group clipped at both ends has −min = max, so that its zero −min/S (S the grid's scale) would be a tie, k + ½, and could round differently on
 * different adapters. It does not: S is rounded to f16 first, which takes the quotient off the tie; where S needs no rounding, half goes to even. Both
 * are computed exactly (grid.wgsl), and so is a real zero, f16(−min).
 */
export const awq: Quantizer = {
  needs: { H: false, C: false },
  packable: true,
  wholeStage: true,
  holdsOutputs: true,
  cost: (rows, n, tokens) => {
    const all = rows.reduce((a, b) => a + b, 0);
    // The clip search's quadratic form, ten times.
    const clip = 20 * all * n * n;
    if (isModule(rows.length)) {
      const search = n * n * tokens + 2 * exponents * all * n * n;
      return { work: search + clip, elements: n * n + Math.max(4 * all * n, tokens * n) };
    }
    // Trials of the module, each taken to cost twice its first layers.
    return {
      work: modulePasses(tokens) * 4 * tokens * all * n + clip,
      elements: 2 * all * n + n * n + 3 * tokens * Math.max(all, n),
    };
  },
  async quantize(stage, _, ops, signal) {
    const fold = stage.foldable ? await searchScale(stage, ops, signal) : null;
    const s = fold && ops.fromFloats(fold, [fold.length]);
    const gram = stage.layers.some(isClipped) ? await stridedGram(stage, s, ops) : null;
    const layers: QuantizedLayer[] = [];
    for (const layer of stage.layers) {
      const scaled = s ? ops.scaleColumns(layer.weight, s) : layer.weight;
      const clipped = isClipped(layer) ? ops.clipSearch(scaled, gram!, layer.grid) : scaled;
      layers.push({ ...roundToNearest(clipped, layer.grid, ops), damping: [], fallback: null });
      ops.free(...new Set([scaled, clipped].filter((t) => t !== layer.weight)));
      await ops.flush();
      throwIfCancelled(signal);
    }
    ops.free(...[s, gram].filter((t) => t !== null));
    return { layers, fold };
  },
};

/** Grids that are searched for have their ranges from the search. */
const isClipped = ({ kind, grid }: StageView["layers"][number]): boolean =>
  kind !== "q_proj" && kind !== "k_proj" && !isSearched(grid.kind ?? "integer-zero");

/** Σ x xᵀ [in, in] over every ⌊T/512⌋-th token of X/s (every token if T < 512), mirrored. */
async function stridedGram(stage: StageView, s: Tensor | null, ops: Ops): Promise<Tensor> {
  const n = stage.layers[0].weight.shape[1];
  const stride = Math.max(1, Math.floor(stage.tokens / clipTokens));
  const gram = ops.zeros([n, n]);
  let seen = 0;
  for (let c = 0; c < stage.chunks; c++) {
    const x = stage.x(c);
    const first = (stride - (seen % stride)) % stride;
    seen += x.shape[0];
    if (first >= x.shape[0]) continue;
    const chosen = await using(x, (tensor) => ops.everyRow(tensor, first, stride));
    const scaled = s ? ops.scaleColumns(chosen, s, true) : chosen;
    ops.gram(gram, scaled);
    ops.free(...new Set([chosen, scaled]));
    await ops.flush();
  }
  ops.mirror(gram);
  return gram;
}
