/**
 * The few operations that everything else is written in, implemented twice: cpu.ts (plain float64, the reference) and gpu/ (WGSL, f32).
 *
 * Symbols, everywhere: T tokens (rows), W [out, in], X and Xq [T, in] (inputs in the full-precision model, and in the model whose
 * earlier layers are quantized), H and C [in, in], L lower Cholesky factor. Row-major. Operations enqueue work and return at once; only
 * `read`, `readUints` and `flush` wait. Each returned tensor is new and belongs to the caller, who frees it. Shapes that do not fit throw
 * a `gpu-fault`/`internal` QuantError naming the operation.
 */
import type { FloatDtype } from "../io/dtype";
import type { AdapterFacts } from "../results/adapter";
import type { GridKind, SearchedKind } from "./grid-kinds";

/**
 * Handle to a matrix or vector that lives with its Ops. `float`: f32 on the GPU, f64 on the CPU; `uint`: 32 bits an element. How large it may
 * be is limited by memory and by `mostColumns`; what an adapter cannot bind at once lies in panels of rows, which changes no result.
 */
export interface Tensor {
  readonly shape: readonly number[];
  readonly kind: "float" | "uint";
}

export type { FloatDtype };
export type Floats = Float32Array | Float64Array;

export interface AttentionShape {
  heads: number;
  /** Divides `heads`; query head h reads key/value head ⌊h·kvHeads/heads⌋ (grouped-query attention). */
  kvHeads: number;
  headDim: number;
  /** Tokens of one window; rows are whole windows one after the other and never see each other. */
  length: number;
  /** Sliding window (Mistral): a query at position i sees keys j with i − slidingWindow < j ≤ i. 0: all j ≤ i. */
  slidingWindow: number;
}

export interface RopeShape {
  headDim: number;
  /** Tokens of one window: row t is at position t mod length. */
  length: number;
}

/** Significant bits of an f16 number. */
export const f16Digits = 11;

export interface GridSpec {
  bits: number;
  /** Input columns that share a scale; −1: the whole row. Divides the number of columns. */
  groupSize: number;
  /** Symmetric about 0, which only some kinds can be. */
  symmetric: boolean;
  /** Default "integer-zero". */
  kind?: GridKind;
  /** Significant bits of S; default: the 11 of f16. With fewer, clients that round products S·code to f16 make the same weights of it. */
  scaleBits?: number;
  /** Shrink each range (1, 0.99, … 0.21 of it) to the least Σ|w − ŵ|^2.4. */
  mse?: boolean;
}

/** The points of a grid: one (S, M) a row and group, [out, G] float each. */
export interface Grid {
  readonly kind: GridKind;
  /** S, rounded to f16 (or shorter) already. */
  readonly scales: Tensor;
  /** z or M, by the kind. */
  readonly zeros: Tensor;
  /** Super-blocks only: (d, dmin) of each, [out, 2·in/256]. S and M are their products with small integers. */
  readonly factors?: Tensor;
}

/** The tensors of a grid, to be freed. */
export const tensorsOf = ({ scales, zeros, factors }: Grid): Tensor[] => (factors ? [scales, zeros, factors] : [scales, zeros]);

/** What `roundColumns` works on: rounding column by column with error feedback (GPTQ, LDLQ). The n columns stand in the order in which they are visited. */
export interface ColumnRounding {
  /** Weights [out, n]. Columns that are rounded are spent; the later ones carry the errors so far. */
  W: Tensor;
  /** U [n, n] upper, UᵀU = (H + λI)⁻¹. */
  U: Tensor;
  /** uint [out, n], filled by blocks of columns. */
  codes: Tensor;
  /** Scratch [out, widest block of columns]. */
  errors: Tensor;
  grid: Grid;
  bits: number;
  /** Input columns of a group; −1: one group. Column c is of group ⌊(order ? order[c] : c) / groupSize⌋. */
  groupSize: number;
  /** uint [n]: the input that column c stands for; null: itself. */
  order: Tensor | null;
  /** [n, n] strictly upper, or null: column j as it is rounded also adds w_j·P_jk to the later columns k (GPTAQ). */
  P?: Tensor | null;
}

/** Everything created while a scope is open and not freed or kept is freed when it ends: cancel and error paths leak nothing. */
export interface Scope {
  keep(...tensors: Tensor[]): void;
  end(): void;
}

export interface Ops {
  readonly adapter: AdapterFacts;

  // --- storage
  /** Float tensor from numbers. */
  fromFloats(data: ArrayLike<number>, shape: readonly number[]): Tensor;
  /** Float tensor from little-endian bytes of a checkpoint; f16 and bf16 are unpacked exactly. */
  fromBytes(bytes: Uint8Array, dtype: FloatDtype, shape: readonly number[]): Tensor;
  fromUints(data: ArrayLike<number>, shape: readonly number[]): Tensor;
  zeros(shape: readonly number[], kind?: Tensor["kind"]): Tensor;
  /** Waits for all enqueued work and gives the elements of each float tensor, in one round trip for all of them. */
  read(tensors: readonly Tensor[]): Promise<Floats[]>;
  readUints(tensor: Tensor): Promise<Uint32Array>;
  /** Waits until the enqueued work is done and lets other events run; throws device-lost, gpu-out-of-memory or gpu-fault if any of it failed. */
  flush(): Promise<void>;
  free(...tensors: Tensor[]): void;
  scope(): Scope;
  /** Bytes of tensors alive now, and the most since `resetPeak`. */
  readonly liveBytes: number;
  readonly peakBytes: number;
  resetPeak(): void;
  /** Buffers that are kept for reuse are given back before the device would hold more bytes than this; null: no limit. What is in use is not limited. */
  limitMemory(bytes: number | null): void;
  /** Releases the device; the ops are unusable afterwards. */
  destroy(): void;

  // --- products
  /** x · Wᵀ: [T, in], [out, in] → [T, out]. */
  linear(x: Tensor, w: Tensor): Tensor;
  /** a · b: [m, k], [k, n] → [m, n]. */
  matmul(a: Tensor, b: Tensor): Tensor;
  /** H += xᵀ x, lower triangle only (the rest is unspecified until `mirror`). */
  gram(H: Tensor, x: Tensor): void;
  /** C += aᵀ b: [n, n], [T, n], [T, n]. */
  crossGram(C: Tensor, a: Tensor, b: Tensor): void;
  /** Copies the lower triangle to the upper one, in place. */
  mirror(H: Tensor): void;
  /** t *= factor, in place. */
  scale(t: Tensor, factor: number): void;

  // --- elementwise and rows
  /** a + factor · b, same shape. */
  add(a: Tensor, b: Tensor, factor?: number): Tensor;
  /** a + factor · b as two tensors: itself rounded, and what the rounding lost (so that the two add up to it). */
  addExactly(a: Tensor, b: Tensor, factor?: number): { sum: Tensor; rest: Tensor };
  /** y + b on every row: [T, n], [n] → [T, n]. */
  addBias(y: Tensor, b: Tensor): Tensor;
  /** x / sqrt(mean(x²) + eps) · w over rows of w's length n (x may hold several such rows per token: Qwen3's q/k norm). */
  rmsNorm(x: Tensor, w: Tensor, eps: number): Tensor;
  /** Rotary embedding, half-split as in Hugging Face; x [T, heads·headDim], cos and sin [length, headDim/2]. */
  rope(x: Tensor, cos: Tensor, sin: Tensor, shape: RopeShape): Tensor;
  /** softmax(q kᵀ / √headDim, causal) v: q [T, heads·headDim], k and v [T, kvHeads·headDim] → [T, heads·headDim]. */
  attention(q: Tensor, k: Tensor, v: Tensor, shape: AttentionShape): Tensor;
  /** silu(gate) · up. */
  swiglu(gate: Tensor, up: Tensor): Tensor;

  /** A · diag(s), or with `divide` A · diag(s)⁻¹: [m, n], [n]. */
  scaleColumns(A: Tensor, s: Tensor, divide?: boolean): Tensor;
  /** Rows first, first + step, … of x, `count` of them or all there are: [T, n] → [count or ⌈(T − first)/step⌉, n]. */
  everyRow(x: Tensor, first: number, step: number, count?: number): Tensor;
  /** diag(s) · A, or with `divide` diag(s)⁻¹ · A: [m, n], [m]. */
  scaleRows(A: Tensor, s: Tensor, divide?: boolean): Tensor;
  /** clamp(factor · a + offset, low, high), elementwise. */
  affine(A: Tensor, factor: number, offset: number, low: number, high: number): Tensor;
  /** sums[j] += Σ_t |x_tj|, in place: [n], [T, n]. */
  addColumnSums(sums: Tensor, x: Tensor): void;

  // --- cross-entropy over a vocabulary seen in slices
  /** [T, 3] running (max, Σ exp(logit − max), target's logit), before any logits. */
  crossEntropyStart(tokens: number): Tensor;
  /** Folds logits of vocabulary entries offset… ([T, n]) into the state, in place. targets: uint [T]; nll = max + ln Σ − target's logit. */
  crossEntropyUpdate(state: Tensor, logits: Tensor, targets: Tensor, offset: number): void;

  // --- two models' next tokens, p = softmax(x) and q = softmax(y), over a vocabulary seen in slices
  /** [T, 11], before any logits. */
  divergenceStart(tokens: number): Tensor;
  /**
   * Folds logits x and y of vocabulary entries offset… ([T, n] each, of less than 2²⁴ entries in all) into the state, in place. targets: uint [T]. A row is
   * (a, x_a, y_a, b, y_b, P, Q, D, G, x of the target, y of the target): a and b are the first entries with the largest x and the largest y. With
   * r = max(y_a, y_b − 40) and δ = (y − x) − (r − x_a): P = Σ e^(x − x_a), Q = Σ e^(y − r), D = Σ e^(x − x_a)·δ, G = Σ e^(x − x_a)·(e^δ − 1 − δ). So
   * KL(p‖q) = ln(Q/P) − D/P = ln(1 + (G + D)/P) − D/P; in the second form little cancels where p and q are near each other.
   */
  divergenceUpdate(state: Tensor, x: Tensor, y: Tensor, targets: Tensor, offset: number): void;

  // --- linear systems
  /** uint [n]: 1 where H_jj = 0 (an input that is never active). H is mirrored. */
  deadInputs(H: Tensor): Tensor;
  /**
   * In place: A_jj := mean of the live diagonal (1 if none is live) where an input is dead (A_jj = 0), then A_jj += fraction · mean(diag). With dead inputs
   * "kept", they stay 0 before the fraction is added, and count in the mean.
   */
  damp(A: Tensor, fraction: number, dead?: "lifted" | "kept"): void;
  /**
   * In place: A = L·Lᵀ becomes L, zeros above its diagonal. Returns the status: float [1], 0 if every pivot was positive and finite, else 1 + the index of the
   * first bad one; then A holds nothing of use.
   */
  cholesky(A: Tensor): Tensor;
  /** Y · A⁻¹, where A⁻¹ = UᵀU with U upper: [n, n], [m, n] → [m, n]. */
  solveRight(U: Tensor, Y: Tensor): Tensor;
  /** Copy of W with the columns of dead inputs 0. */
  zeroColumns(W: Tensor, dead: Tensor): Tensor;

  /** float [n]: A_jj. */
  diagonal(A: Tensor): Tensor;
  /** In place: everything on and below the diagonal of A [n, n] becomes 0. */
  keepStrictUpper(A: Tensor): void;
  /** In place: a lower triangle L [n, n], zeros above its diagonal, becomes L⁻¹. */
  invertTriangle(L: Tensor): void;
  /** uint [n]: inputs by descending H_jj, equal ones in their order; dead ones count as the mean of the live (1 if none is). */
  descendingDiagonal(H: Tensor): Tensor;
  /** A[index[i], index[j]]; `reversed` reads the index from its end (with a null index: A flipped on both axes). */
  permuteSquare(A: Tensor, index: Tensor | null, reversed: boolean): Tensor;
  /** Column j of the result is column index[j] of A: [m, n], uint [n]. */
  gatherColumns(A: Tensor, index: Tensor): Tensor;
  /** Its inverse: column index[j] of the result is column j of A. Keeps A's kind. */
  scatterColumns(A: Tensor, index: Tensor): Tensor;

  // --- grids: each kind has one rule, for every method but QuIP
  /**
   * Scale and zero per row and group of W: S = (max − min)/(2^b − 1), rounded to f16 or to fewer significant bits (half to even, at least 2⁻²⁴; beyond f16's range +∞).
   * Integer zero: the range always holds 0, z = clamp(round(−min/S)); symmetric S = 2·max|w|/(2^b − 1), z = 2^(b−1); an all-zero group has range [−1, 1].
   * Real zero: the range is the weights' own, M = f16(−min), ±∞ beyond f16's range.
   * @param rest [out, in], added to W: what W lost when it was rounded to the tensor's own precision. Without it, a rounded range can land on the wrong side of a midpoint.
   */
  grid(W: Tensor, spec: GridSpec, rest?: Tensor | null): Grid;
  /**
   * A grid of a kind that is searched for (kind and bits of `spec`), once for all columns: signed S = f16(s), M = S·2^(b−1), or super-blocks. Each weight's squared
   * error is weighted by importance·√(σ² + w²) with `importance` [in], σ² the block's mean w² (twice that at 4 and 5 bits); without, σ + |w|.
   */
  searchGrid(W: Tensor, spec: GridSpec & { kind: SearchedKind }, importance: Tensor | null): Grid;
  /** uint codes clamp(round(w/S) + z, 0, 2^b − 1), of real zeros clamp(round((w + M)/S), 0, 2^b − 1), half to even: [out, in]. */
  encode(W: Tensor, grid: Grid, bits: number): Tensor;
  /** S·(code − z), or S·code − M: float [out, in], with `half` rounded to f16. Column c is of group `groupOf[c]` (uint [in]), or of groups of equal size in order. */
  decode(codes: Tensor, grid: Grid, groupOf?: Tensor, half?: boolean): Tensor;
  /** Recomputes the grid of the groups that lie in columns [from, to) of W; both are multiples of the group size. */
  regrid(grid: Grid, W: Tensor, spec: GridSpec, from: number, to: number, rest?: Tensor | null): void;
  /** Rounds columns [from, to), at most 128. Each column's error e = (w − ŵ)/U_jj, times its row of U, is subtracted from all later columns. */
  roundColumns(rounding: ColumnRounding, from: number, to: number): void;

  /**
   * AWQ's clip search: W with each group of each row clipped to ±m. Of m = max|w|·(1, 0.95, … 0.55) it takes the one with the least Σ_ij e_i G_ij e_j over the
   * group, e = ŵ(clip(w)) − w; of equal ones the first.
   * @param gram [in, in], Σ x xᵀ of the inputs; only blocks of a group with itself are read.
   */
  clipSearch(W: Tensor, gram: Tensor, spec: GridSpec): Tensor;

  // --- packing: a dense LSB-first bit stream along each row, padded to whole 32-bit words
  /** uint [out, ⌈in·bits/32⌉] from uint codes [out, in]. */
  pack(codes: Tensor, bits: number): Tensor;
  /** Its inverse: uint [out, columns]. */
  unpack(words: Tensor, bits: number, columns: number): Tensor;

  // --- sums
  /** Partial sums float [p, 2] of (a − b)² and a²; add the p rows up in float64 for ‖a − b‖² and ‖a‖². */
  squaredDifference(a: Tensor, b: Tensor): Tensor;
  /** Partial sums float [p, 2] of a·b and b², likewise. */
  innerProducts(a: Tensor, b: Tensor): Tensor;
}

/** An adapter must be able to bind at least this many rows of a matrix at once. */
export const leastRows = 64;

/** Most columns that a matrix may have on an adapter. */
export const mostColumns = ({ limits }: AdapterFacts): number =>
  limits ? Math.floor(Math.min(limits.buffer, limits.binding) / (4 * leastRows)) : Number.POSITIVE_INFINITY;

export const elements = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
