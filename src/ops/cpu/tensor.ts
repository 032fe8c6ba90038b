import { elements, type Tensor } from "../ops";
import { requireShape } from "../shape";

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
