import { QuantError } from "../errors";
import type { Activation } from "../ops/activations";
import { type GridKind, gridKinds } from "../ops/grid-kinds";
import type { Grid, GridSpec, Ops, Tensor } from "../ops/ops";
import type { LayerKind, MethodOptions } from "../recipe/recipe";
import type { InverseFactor, WantedFactor } from "./factor";

/** One linear layer as a method sees it. */
export interface StageLayer {
  readonly kind: LayerKind;
  readonly name: string;
  /** W* [out, in]: the weights to quantize, QEP's correction already in them. Borrowed. */
  readonly weight: Tensor;
  /** The grid that the recipe wants for it. */
  readonly grid: GridSpec;
  /** What W* lost when it was rounded to f32, needed to make exact grids; null where nothing was added to the checkpoint's weights. Borrowed. */
  readonly rest: Tensor | null;
}

/** A stage (linear layers that share an input) as a method sees it. Everything is borrowed unless said otherwise. */
export interface StageView {
  readonly block: number;
  readonly layers: readonly StageLayer[];
  /** (2/T)·XqᵀXq [in, in], mirrored; null unless the method needs it and does with more than its factor. */
  readonly H: Tensor | null;
  /** (2/T)·(X − Xq)ᵀXq [in, in]; null unless the method needs it. */
  readonly C: Tensor | null;
  /** float [in]: H's diagonal; null where nothing of the run asked for H. */
  readonly diagonal: Tensor | null;
  /** The factor that the method asks for; null where it asks for none. */
  readonly factor: InverseFactor | null;
  /** Calibration tokens over all chunks. */
  readonly tokens: number;
  /** Tokens of one window. A chunk holds whole windows. */
  readonly length: number;
  readonly chunks: number;
  /** Inputs of chunk c in the full-precision model: [T_c, in]. */
  x(c: number): Activation;
  /**
   * The output [rows, hidden] of the module that begins with the stage (attention up to o_proj, the MLP up to down_proj; for o and down the layer itself)
   * for inputs x [rows, in] of whole windows, with these weights in place of the stage's and everything after them in full precision. A new tensor.
   */
  moduleOutput(x: Tensor, weights: readonly Tensor[]): Tensor;
  /** Takes over a tensor of one chunk, which may then leave the device until it is needed again. The method frees it. */
  hold(tensor: Tensor): Promise<Activation>;
  /** Whether a scale of the inputs can be folded into the operation before: a norm, or the rows of v (not under grouped queries) or up. */
  readonly foldable: boolean;
}

/** How the method's solve went. */
interface SolveInfo {
  /** Damping fractions tried; the last is in use. */
  damping: number[];
  /** Why another method stood in, or null. */
  fallback: string | null;
}

/**
 * One quantized layer. On a grid: unsigned codes [out, in], whose points on the grid are Ŵ. On no grid: Ŵ [out, in] itself. The caller frees them.
 */
export type QuantizedLayer = SolveInfo & ({ codes: Tensor; grid: Grid } | { weight: Tensor });

export interface StageResult {
  /** One per layer, in order. */
  layers: QuantizedLayer[];
  /** s [in]: the layers were quantized for inputs x/s, so that 1/s has to be folded into the operation before. null: for the inputs as they are. */
  fold: Float64Array | null;
}

/** The plug-in contract: a method is one file that exports one of these, and one line in quant/methods.ts. QEP comes before it; of QEP a method sees only the factor. */
export interface Quantizer {
  readonly needs: { readonly H: boolean; readonly C: boolean };
  /** Whether its layers are on grids, so that packed formats can hold them. */
  readonly packable: boolean;
  /** It takes each layer by itself, so that one at a time may be given, and only one need be on the device. */
  readonly byLayer?: boolean;
  /** It rescales the inputs that a stage's layers share, and so must quantize all of the stage's layers. */
  readonly wholeStage?: boolean;
  /** While it works on a stage it holds the module's output for all tokens. */
  readonly holdsOutputs?: boolean;
  /** The factor of H that it rounds with. A stage makes each factor once, and QEP solves with the same where it can. */
  factor?(options: MethodOptions): WantedFactor;
  /** For a stage of layers with these rows and n inputs: floating-point operations, and elements held at once, codes included, besides W*, H, C and the factor. For the plan. */
  cost(rows: readonly number[], n: number, tokens: number): { work: number; elements: number };
  /** @throws QuantError `bad-recipe` for settings that the method cannot take. */
  check?(grid: GridSpec): void;
  quantize(stage: StageView, options: MethodOptions, ops: Ops, signal?: AbortSignal): Promise<StageResult>;
}

/** The grid of a layer's settings. @throws QuantError `bad-recipe` where the kind has no symmetric grids. */
export function gridSpec({ bits, groupSize, symmetric, kind = "integer-zero", scaleBits }: GridSpec): GridSpec & { kind: GridKind } {
  if (symmetric && !gridKinds[kind].symmetric)
    throw new QuantError("bad-recipe", `a grid with ${gridKinds[kind].label} is never symmetric`, "Switch Symmetric off.");
  return { bits, groupSize, symmetric, kind, ...(scaleBits !== undefined && { scaleBits }) };
}
