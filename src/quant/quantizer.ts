import type { Grid, GridSpec, Ops, Tensor } from "../ops/ops";
import type { LayerKind, Recipe } from "../recipe/recipe";

/** One linear layer as a method sees it. */
export interface StageLayer {
  readonly kind: LayerKind;
  readonly name: string;
  /** W* [out, in]: the weights to quantize, QEP's correction already in them. Borrowed. */
  readonly weight: Tensor;
}

/** The linear layers that share an input, with what a method may ask of them. Everything is borrowed unless said otherwise. */
export interface StageView {
  readonly block: number;
  readonly layers: readonly StageLayer[];
  /** (2/T)·XqᵀXq [in, in], mirrored; null unless the method needs it. */
  readonly H: Tensor | null;
  /** (2/T)·(X − Xq)ᵀXq [in, in]; null unless the method needs it. */
  readonly C: Tensor | null;
  readonly chunks: number;
  /** Inputs of chunk c in the full-precision model, and in the model quantized so far: [T_c, in]. */
  x(c: number): Tensor;
  xq(c: number): Tensor;
}

/** One layer, quantized: codes uint [out, in] and their grid; what was measured of it is ŵ = s·(code − z). The caller frees them. */
export interface QuantizedLayer {
  codes: Tensor;
  grid: Grid;
  /** Damping fractions tried; the last is in use. */
  damping: number[];
  /** Why another method stood in, or null. */
  fallback: string | null;
}

/** The plug-in contract: a method is one file that exports one of these, and one line in the registry. QEP comes before it and is unknown to it. */
export interface Quantizer {
  readonly needs: { readonly H: boolean; readonly C: boolean };
  /** For a stage of layers with these rows and n inputs: floating-point operations, and elements held at once besides W*, H and C. For the plan. */
  cost(rows: readonly number[], n: number): { work: number; elements: number };
  /** One QuantizedLayer per layer of the stage, in order. */
  quantize(stage: StageView, recipe: Recipe, ops: Ops, signal?: AbortSignal): Promise<QuantizedLayer[]>;
}

export const gridSpec = (recipe: Recipe): GridSpec => ({ bits: recipe.bits, groupSize: recipe.groupSize, symmetric: recipe.symmetric });
