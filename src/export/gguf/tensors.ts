/** The tensors of a GGUF file: their types and bytes. */
import { dtypeBytes, toF16Words, toFloats } from "../../io/dtype";
import type { Dtype } from "../../io/types";
import { ropeDivisors } from "../../model/rope";
import type { ModelSpec } from "../../model/spec";
import { elements } from "../../ops/ops";
import { codesOf } from "../../ops/packed";
import type { PackedLayer } from "../../quant/coded";
import type { TensorType } from "../../recipe/types";
import type { EntrySpec } from "../containers/container";
import type { Entry, ExportJob, Parts } from "../formats/format";
import { packedOf } from "../formats/source-order";
import { blockTypeOf, type Gridded, packRow } from "./block-types";
import { type Place, placesOf } from "./places";
import { interleaved, interleavedRows } from "./row-order";
import { bytesOf, type GgmlType } from "./types";

/** Every entry, in the order of the file. Norms and biases are F32, as llama.cpp wants them; other copies F16, or F32 where f16 cannot hold them. */
export function ggufEntries({ model, plan, changes }: ExportJob): Entry[] {
  const spec = model.spec!;
  const layers = new Map([...plan.layers, ...plan.tables].map((layer): [string, Gridded] => [`${layer.name}.weight`, layer]));
  const entries = placesOf(spec).map((place): Entry => {
    const layer = layers.get(place.source);
    if (layer) return layerEntry(place, layer.name, blockTypeOf(layer));
    const type = place.shape.length === 1 || changes.wide.has(place.source) ? "F32" : "F16";
    if (changes.replaced.has(place.source)) return foldedEntry(place, type);
    return copiedEntry(place, type, model.shards.tensors.get(place.source)!.dtype);
  });
  return [...entries, ...divisorEntry(spec)];
}

const specOf = ({ name, shape }: Place, dtype: GgmlType): EntrySpec => ({ name, dtype, shape });

function layerEntry(place: Place, layer: string, type: TensorType): Entry {
  return {
    spec: specOf(place, type),
    copies: null,
    async *bytes(parts) {
      yield* blockRows(packedOf(await parts.layer(layer)), type, place.headDim);
    },
  };
}

const rowsAtOnce = 64;

/** A layer's rows as blocks, some at a time. */
function* blockRows(layer: PackedLayer, type: TensorType, headDim?: number): Generator<Uint8Array> {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const rowBytes = bytesOf(type, n);
  const perRow = (layer.factors?.length ?? 0) / out;
  const step = headDim ?? rowsAtOnce;
  for (let from = 0; from < out; from += step) {
    const to = Math.min(out, from + step);
    const codes = codesOf(layer, from, to);
    const blocks = new Uint8Array((to - from) * rowBytes);
    for (let r = 0; r < to - from; r++) {
      const row = headDim ? interleaved(r, headDim) : r;
      const grid = [(from + row) * groups, (from + row + 1) * groups] as const;
      const { scales, zeros, factors } = layer;
      const parts = {
        codes: codes.subarray(row * n, (row + 1) * n),
        scales: scales.subarray(...grid),
        zeros: zeros.subarray(...grid),
        factors: factors?.subarray((from + row) * perRow, (from + row + 1) * perRow),
      };
      packRow(type, parts, blocks, r * rowBytes);
    }
    yield blocks;
  }
}

function foldedEntry(place: Place, type: "F16" | "F32"): Entry {
  return {
    spec: specOf(place, type),
    copies: null,
    *bytes(parts) {
      yield inOrder(encoded(parts.folded(place.source), type), place, type);
    },
  };
}

function copiedEntry(place: Place, type: "F16" | "F32", dtype: Dtype): Entry {
  const columns = elements(place.shape.slice(1));
  // Whole heads, where their rows change places.
  const unit = dtypeBytes[dtype] * columns * (place.headDim ?? 1);
  return {
    spec: specOf(place, type),
    copies: place.source,
    async *bytes(parts: Parts) {
      for await (const part of parts.copy(place.source, unit))
        yield inOrder(dtype === type ? part : encoded(toFloats(part, dtype), type), place, type);
    },
  };
}

const encoded = (values: Float32Array, type: "F16" | "F32"): Uint8Array =>
  new Uint8Array(type === "F32" ? Float32Array.from(values).buffer : toF16Words(values).buffer);

const inOrder = (bytes: Uint8Array, { shape, headDim }: Place, type: "F16" | "F32"): Uint8Array =>
  headDim ? interleavedRows(bytes, dtypeBytes[type] * elements(shape.slice(1)), headDim) : bytes;

/** What each pair of dimensions divides its angle by: Llama 3's rope scaling. */
function divisorEntry(spec: ModelSpec): Entry[] {
  const divisors = ropeDivisors(spec);
  if (!divisors) return [];
  return [
    {
      spec: { name: "rope_freqs.weight", dtype: "F32", shape: [divisors.length] },
      copies: null,
      *bytes() {
        yield encoded(divisors, "F32");
      },
    },
  ];
}
