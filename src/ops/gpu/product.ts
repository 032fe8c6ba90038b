import type { GpuTensor } from "./panels";

/** A matrix inside a tensor: where it begins (default: at its first element), and the steps between the matrices of a batch, in elements. */
export interface View {
  tensor: GpuTensor;
  row?: number;
  column?: number;
  window?: number;
  head?: number;
}

/** C = [C or D] + alpha · A·B, as the matmul kernels take it; see shaders/matmul.wgsl. C is none of the other tensors. */
export interface Product {
  form: "NT" | "NN" | "TN";
  m: number;
  n: number;
  k: number;
  a: View;
  b: View;
  c: View;
  /** What the product is added to: C itself, or D. */
  add?: "c" | View;
  part?: Part;
  alpha?: number;
  /** Batch numbers first … first + count − 1 of windows × heads; kv head = head / group. No tensor of a batch may be cut into panels. */
  batch?: { first: number; count: number; heads: number; group: number };
  /** A's rows are zero from k on up to the next multiple of 4. */
  padded?: boolean;
  /** False keeps the quad kernel from it, as from the whole that it is a part of: the kernels round differently. */
  quads?: boolean;
  /** The sum goes on from C's values, which are a product of what came before in k. */
  goesOn?: boolean;
}

/** What may be left out: tiles above the diagonal; or where A, or B (of the form NT its transpose), is a lower or an upper triangle. */
export type Part = "all" | "lower" | "lower-a" | "lower-b" | "upper-b";
