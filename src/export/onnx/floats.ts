/** Tensors that stay floats: the source's, and the rotary tables. */
import { toF16Words, toFloats } from "../../io/dtype";
import type { Dtype } from "../../io/types";
import { ropeTables } from "../../model/rope";
import type { ModelSpec } from "../../model/spec";
import type { Entry, ExportJob } from "../formats/format";

/** What a graph computes in. */
export type Float = "F32" | "F16";

const halves = (values: Float32Array | Float64Array): Uint8Array => new Uint8Array(toF16Words(values).buffer);

/** Floats of a type as the bytes of another. */
const recast = (bytes: Uint8Array, from: Dtype, to: Dtype): Uint8Array => {
  if (from === to) return bytes;
  const values = toFloats(bytes, from);
  return to === "F16" ? halves(values) : new Uint8Array(values.buffer);
};

/** A norm's weights or a bias, in the graph's own type; what a fold changed is rounded to f16, as in every format. */
export function vectorEntry({ model, changes }: ExportJob, name: string, float: Float): Entry {
  const { dtype, shape } = model.shards.tensors.get(name)!;
  const spec = { name, dtype: float, shape };
  if (!changes.replaced.has(name)) return { spec, copies: name, bytes: (parts) => recasts(parts.copy(name), dtype, float) };
  return {
    spec,
    copies: null,
    *bytes(parts) {
      yield recast(halves(parts.folded(name)), "F16", float);
    },
  };
}

/**
 * A matrix in 16 bits where the source has 16, as it is large, and the graph can widen it: in f16, because onnxruntime-web has no kernel that widens bf16. That
 * is exact but for weights below 2⁻¹⁴, which are rounded to multiples of 2⁻²⁴; values beyond f16 are refused.
 */
export function matrixEntry({ model }: ExportJob, name: string, float: Float): Entry {
  const { dtype: source, shape } = model.shards.tensors.get(name)!;
  const dtype = source === "F32" ? float : "F16";
  return { spec: { name, dtype, shape }, copies: name, bytes: (parts) => recasts(parts.copy(name), source, dtype) };
}

async function* recasts(pieces: AsyncIterable<Uint8Array>, from: Dtype, to: Dtype): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) yield recast(piece, from, to);
}

/** Rows of the rotary tables, at most: 64 MB for each in f32 with heads of 128, and more context than a browser has memory for. */
const mostPositions = 131_072;

/** Positions that an export can tell apart. */
export const positionsOf = ({ maxPositions }: Pick<ModelSpec, "maxPositions">): number => Math.min(maxPositions, mostPositions);

const rowsAtOnce = 4096;

/** cos or sin [positions, headDim/2] of the rotary embedding, with whatever scaling the model has. */
export function ropeEntry(spec: ModelSpec, which: "cos" | "sin", float: Float): Entry {
  const length = positionsOf(spec);
  return {
    spec: { name: `${which}_cache`, dtype: float, shape: [length, spec.headDim / 2] },
    copies: null,
    *bytes() {
      for (let from = 0; from < length; from += rowsAtOnce) {
        const values = ropeTables(spec, length, { from, to: Math.min(length, from + rowsAtOnce) })[which];
        yield float === "F16" ? halves(values) : new Uint8Array(Float32Array.from(values).buffer);
      }
    },
  };
}
