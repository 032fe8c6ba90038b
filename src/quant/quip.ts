import { QuantError, throwIfCancelled } from "../errors";
import { type Grid, type Ops, type Tensor, tensorsOf } from "../ops/ops";
import { layerKinds, type MethodOptions } from "../recipe/recipe";
import { dampingFor, factorDamped } from "./damping";
import { randomOrthogonal, transposed } from "./orthogonal";
import type { QuantizedLayer, Quantizer, StageLayer, StageView } from "./quantizer";
import { roundToNearest } from "./rtn";

/** The range of the one grid of a rotated matrix: ± this many root mean squares. */
const rangeInRms = 2.4;
/** Added to H's diagonal, whose mean is 1 by then, before it is rotated. */
const identityShare = 0.01;
const columnsAtOnce = 128;
const unbounded = 3e38;

/**
 * QuIP (Chee et al., 2023): weights and Hessian are rescaled per input and conjugated by random orthogonal matrices, which spreads outliers; all of
 * the rotated matrix is rounded on one grid with LDLQ feedback, and mapped back. The result is on no grid of its own: it is kept dense.
 */
export const quip: Quantizer = {
  needs: { H: true, C: false },
  packable: false,
  byLayer: true,
  cost: (rows, n) => {
    const work = rows.reduce((sum, o) => sum + 4 * n ** 3 + 5 * o * n * n + 4 * o * o * n, 0);
    const widest = Math.max(...rows);
    return { work, elements: 5 * n * n + 2 * widest * widest + 4 * widest * n + rows.reduce((a, b) => a + b, 0) * n };
  },
  check({ groupSize, symmetric, kind }) {
    if (kind !== undefined && kind !== "integer-zero")
      throw new QuantError(
        "bad-recipe",
        "QuIP has a grid of its own, without zero points or types",
        "Use integer zero points, and no GGUF type.",
      );
    if (groupSize !== -1)
      throw new QuantError("bad-recipe", `QuIP has one scale per matrix, not groups of ${groupSize}`, "Use group size −1.");
    if (symmetric)
      throw new QuantError("bad-recipe", "QuIP's grid is always symmetric around the rotated weights", "Switch Symmetric off.");
  },
  async quantize(stage, options, ops, signal) {
    const layers: QuantizedLayer[] = [];
    for (const layer of stage.layers) {
      layers.push(await quantizeLayer(layer, stage, options, ops));
      await ops.flush();
      throwIfCancelled(signal);
    }
    return { layers, fold: null };
  },
};

/** The rotations of both sides of a layer, seeded as in the oracle: one seed per layer, and from it one for each side. */
function rotations(layer: StageLayer, block: number, options: MethodOptions): { U: Float64Array; V: Float64Array } {
  const [out, n] = layer.weight.shape;
  const seed = options.quip.seed + 1000 * block + layerKinds.indexOf(layer.kind);
  return { U: randomOrthogonal(out, 2 * seed + 1), V: randomOrthogonal(n, 2 * seed + 2) };
}

async function quantizeLayer(layer: StageLayer, stage: StageView, options: MethodOptions, ops: Ops): Promise<QuantizedLayer> {
  const H = stage.H!;
  const [out, n] = layer.weight.shape;
  const { U: u, V: v } = rotations(layer, stage.block, options);
  const { d, factor } = await rescaling(layer.weight, H, ops);
  const D = ops.fromFloats(d, [n]);
  const V = ops.fromFloats(v, [n, n]);
  const hessian = rotateHessian(H, D, factor, V, ops);
  const U = ops.fromFloats(u, [out, out]);
  const rotated = rotateWeights(layer.weight, D, U, V, ops);
  const feedback = await reversedFactor(hessian, dampingFor(options.gptq.damp, n, stage.tokens), ops);
  ops.free(hessian, U);
  const result = feedback.U && (await roundRotated(rotated, feedback.U, layer.grid.bits, ops));
  const info = { damping: feedback.tried };
  ops.free(rotated, ...(feedback.U ? [feedback.U] : []));
  if (!result) {
    ops.free(D, V);
    return {
      ...roundToNearest(layer.weight, layer.grid, ops),
      ...info,
      fallback: "the rotated Hessian was not positive definite: rounded to nearest",
    };
  }
  const Ut = ops.fromFloats(transposed(u, out), [out, out]);
  const half = ops.matmul(Ut, result);
  const back = ops.matmul(half, V);
  const weight = ops.scaleColumns(back, D, true);
  ops.free(Ut, half, back, result, D, V);
  return { weight, ...info, fallback: null };
}

/** d_j = (H_jj / ‖W_:j‖²)^¼, with H divided by its largest entry, and the factor that makes trace(H/ddᵀ) = n. */
async function rescaling(W: Tensor, H: Tensor, ops: Ops): Promise<{ d: Float64Array; factor: number }> {
  const diagonal = ops.diagonal(H);
  const [h, w] = await ops.read([diagonal, W]);
  ops.free(diagonal);
  const n = h.length;
  // The largest entry of a positive semidefinite matrix is on its diagonal.
  const largest = Array.from(h).reduce((a, b) => Math.max(a, b), 0) || 1;
  const squares = new Float64Array(n);
  for (let i = 0; i < w.length; i++) squares[i % n] += w[i] * w[i];
  const d = squares.map((s, j) => Math.max((Math.max(h[j] / largest, 1e-8) / Math.max(s, 1e-8)) ** 0.25, 1e-8));
  const trace = d.reduce((sum, x, j) => sum + h[j] / largest / (x * x), 0);
  return { d, factor: n / (trace + 1e-8) / largest };
}

/** V·(factor·H/ddᵀ + 0.01·I)·Vᵀ */
function rotateHessian(H: Tensor, D: Tensor, factor: number, V: Tensor, ops: Ops): Tensor {
  const columns = ops.scaleColumns(H, D, true);
  const both = ops.scaleRows(columns, D, true);
  ops.scale(both, factor);
  ops.free(columns);
  // The diagonal's mean is 1 now, so that damping by a fraction of the mean adds that fraction of the identity.
  ops.damp(both, identityShare, "kept");
  const half = ops.matmul(V, both);
  ops.free(both);
  const rotated = ops.linear(half, V);
  ops.free(half);
  return rotated;
}

/** U·(W·d)·Vᵀ */
function rotateWeights(W: Tensor, D: Tensor, U: Tensor, V: Tensor, ops: Ops): Tensor {
  const scaled = ops.scaleColumns(W, D);
  const half = ops.matmul(U, scaled);
  const rotated = ops.linear(half, V);
  ops.free(scaled, half);
  return rotated;
}

/** U for columns visited from the last to the first: J·L⁻¹·J of H = L·Lᵀ itself. LDLQ is GPTQ in that order. */
async function reversedFactor(H: Tensor, damp: number, ops: Ops): Promise<{ U: Tensor | null; tried: number[] }> {
  const { L, tried } = await factorDamped(ops, () => ops.permuteSquare(H, null, false), damp);
  if (!L) return { U: null, tried };
  ops.invertTriangle(L);
  const U = ops.permuteSquare(L, null, true);
  ops.free(L);
  return { U, tried };
}

/** Maps ±2.4 root mean squares to the codes [0, 2^b − 1], rounds with LDLQ there, and maps back: the rotated Ŵ. */
async function roundRotated(W: Tensor, U: Tensor, bits: number, ops: Ops): Promise<Tensor> {
  const [out, n] = W.shape;
  const top = 2 ** bits - 1;
  const scale = rangeInRms * (await rootMeanSquare(W, ops)) + 1e-16;
  const inCodes = ops.affine(W, top / (2 * scale), top / 2, 0, top);
  const last = ops.fromUints(
    Uint32Array.from({ length: n }, (_, j) => n - 1 - j),
    [n],
  );
  const reversed = ops.gatherColumns(inCodes, last);
  const codes = ops.zeros([out, n], "uint");
  const errors = ops.zeros([out, columnsAtOnce]);
  const grid: Grid = { kind: "integer-zero", scales: ops.fromFloats(new Float64Array(out).fill(1), [out, 1]), zeros: ops.zeros([out, 1]) };
  const rounding = { W: reversed, U, codes, errors, grid, bits, groupSize: -1, order: null };
  for (let from = 0; from < n; from += columnsAtOnce) ops.roundColumns(rounding, from, Math.min(from + columnsAtOnce, n));
  const inOrder = ops.scatterColumns(codes, last);
  const values = ops.decode(inOrder, grid);
  const rounded = ops.affine(values, (2 * scale) / top, -scale, -unbounded, unbounded);
  ops.free(inCodes, last, reversed, codes, errors, ...tensorsOf(grid), inOrder, values);
  return rounded;
}

async function rootMeanSquare(W: Tensor, ops: Ops): Promise<number> {
  const partial = ops.innerProducts(W, W);
  const [pairs] = await ops.read([partial]);
  ops.free(partial);
  let sum = 0;
  for (let i = 1; i < pairs.length; i += 2) sum += pairs[i];
  return Math.sqrt(sum / (W.shape[0] * W.shape[1]));
}
