import { QuantError } from "../../errors";
import { elements, type Tensor } from "../ops";

/** A tensor of the reference: plain numbers in JavaScript memory. */
export interface CpuTensor extends Tensor {
  readonly data: Float64Array;
  readonly uints: Uint32Array;
}

const none = { data: new Float64Array(0), uints: new Uint32Array(0) };

export function floats(data: Float64Array, shape: readonly number[]): CpuTensor {
  requireShape(data.length === elements(shape), "float tensor", `${data.length} numbers for the shape ${shape.join(" × ")}`);
  return { ...none, kind: "float", shape, data };
}

export function uints(data: Uint32Array, shape: readonly number[]): CpuTensor {
  requireShape(data.length === elements(shape), "uint tensor", `${data.length} numbers for the shape ${shape.join(" × ")}`);
  return { ...none, kind: "uint", shape, uints: data };
}

export const empty = (shape: readonly number[]): CpuTensor => floats(new Float64Array(elements(shape)), shape);

/** The argument check of every operation: a wrong shape is our bug, and is named. */
export function requireShape(ok: boolean, operation: string, detail: string): void {
  if (!ok) throw new QuantError("internal", `${operation} got ${detail}`);
}

/** A tensor seen as rows of its last dimension. */
export function rowsOf(t: Tensor): { rows: number; columns: number } {
  const columns = t.shape[t.shape.length - 1] ?? 1;
  return { rows: columns === 0 ? 0 : elements(t.shape) / columns, columns };
}
