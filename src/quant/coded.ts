import { QuantError } from "../errors";
import { toF16, toF16Words, toFloats, toShortF16 } from "../io/dtype";
import { type GridKind, gridKinds } from "../ops/grid-kinds";
import { f16Digits, type GridSpec, type Ops, type Tensor, tensorsOf } from "../ops/ops";
import { type PackedMatrix, restore } from "../ops/packed";
import { onSuperBlocks, partsOf, pointsOf, type SuperMatrix } from "../ops/super-matrix";
import type { QuantizedLayer } from "./quantizer";

/** One quantized layer that is on a grid, on the host. Its scales, and its zeros where they are real, are exact f16 values. */
export interface PackedLayer extends PackedMatrix {
  readonly kind: "packed";
  readonly name: string;
  readonly symmetric: boolean;
}

/** One quantized layer that is on no grid (QuIP's, rotated back): f16 words [out, in]. */
export interface DenseLayer {
  readonly kind: "dense";
  readonly name: string;
  readonly shape: readonly [number, number];
  readonly words: Uint16Array;
}

/** One quantized layer of a run, on the host. */
export type Coded = PackedLayer | DenseLayer;

/** What a run made of a model, a layer at a time. Tensors that are not here stay as they are in the checkpoint. */
export interface QuantizedModel {
  /** A layer by its name, without ".weight"; null where the run did not quantize it. */
  layer(name: string): Promise<Coded | null>;
  /** Norm weights and biases that a scale was folded into, by tensor name. */
  readonly replaced: ReadonlyMap<string, Float32Array>;
  /** The tensors that f16 cannot hold, by name, with the first such value. */
  readonly beyondF16: ReadonlyMap<string, Beyond>;
}

/** A value that f16 cannot hold, and where it stands in its tensor. */
export interface Beyond {
  readonly index: number;
  readonly value: number;
}

/** Packs a layer on the device and reads it back. @throws QuantError `scale-overflow` naming the layer when a scale does not fit f16. */
export async function codeLayer(ops: Ops, name: string, layer: QuantizedLayer, { bits, symmetric }: GridSpec): Promise<Coded> {
  if (!("codes" in layer)) return codeDense(ops, name, layer.weight);
  const packed = ops.pack(layer.codes, bits);
  const [scales, zeros, factors] = await ops.read(tensorsOf(layer.grid));
  const words = await ops.readUints(packed);
  ops.free(packed);
  if (!areFinite(scales) || !areFinite(zeros)) throw overflow(name);
  const [out, n] = layer.codes.shape;
  return {
    kind: "packed",
    name,
    symmetric,
    shape: [out, n],
    bits,
    words,
    gridKind: layer.grid.kind,
    scales: Float32Array.from(scales),
    zeros: zerosOf(layer.grid.kind, zeros),
    ...(factors && { factors: Float32Array.from(factors) }),
  };
}

/** A plain loop, as a large layer has millions of groups. */
function areFinite(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (!Number.isFinite(values[i])) return false;
  return true;
}

const zerosOf = (kind: GridKind, zeros: ArrayLike<number>): Uint8Array | Float32Array =>
  gridKinds[kind].zeros === "real" ? Float32Array.from(zeros) : Uint8Array.from(zeros);

async function codeDense(ops: Ops, name: string, weight: Tensor): Promise<DenseLayer> {
  const [values] = await ops.read([weight]);
  const [out, n] = weight.shape;
  return { kind: "dense", name, shape: [out, n], words: finiteWords(name, values) };
}

/** Weights that are on no grid are kept as f16. @throws QuantError `weight-overflow` for one that f16 cannot hold. */
function finiteWords(name: string, values: Float32Array | Float64Array): Uint16Array {
  const words = toF16Words(values);
  const at = words.findIndex((word) => (word & 0x7c00) === 0x7c00);
  if (at >= 0)
    throw new QuantError(
      "weight-overflow",
      `${name} has ${values[at]} at index ${at}`,
      "Use a method whose weights are on a grid, such as GPTQ.",
    );
  return words;
}

const overflow = (name: string) =>
  new QuantError("scale-overflow", name, "Its weights are too large for a scale in f16: use more bits, or check the checkpoint.");

/** Ŵ [out, in] on the device. */
export function restoreLayer(ops: Ops, layer: Coded): Tensor {
  if (layer.kind === "packed") return restore(ops, layer);
  return ops.fromBytes(new Uint8Array(layer.words.buffer), "F16", layer.shape);
}

/** ŵ of every weight, row after row. */
export function valuesOf(layer: DenseLayer): Float32Array {
  return toFloats(new Uint8Array(layer.words.buffer), "F16");
}

/**
 * The layer with row o divided by s[o]: codes stay; scales, real zeros and the weights of a dense layer are divided and rounded to f16 again, scales to
 * the significant bits of its grid.
 * @throws QuantError `scale-overflow`, `weight-overflow`.
 */
export function divideRows(layer: Coded, s: ArrayLike<number>, { scaleBits = f16Digits }: Pick<GridSpec, "scaleBits"> = {}): Coded {
  const [out] = layer.shape;
  if (layer.kind === "dense") {
    const n = layer.shape[1];
    return {
      ...layer,
      words: finiteWords(
        layer.name,
        valuesOf(layer).map((w, i) => w / s[Math.floor(i / n)]),
      ),
    };
  }
  if (onSuperBlocks(layer)) return divideFactors(layer, s);
  const groups = layer.scales.length / out;
  const divided = (x: number, i: number) => x / s[Math.floor(i / groups)];
  const scales = layer.scales.map((x, i) => notZero(toShortF16(divided(x, i), scaleBits), x));
  if (layer.gridKind === "signed") return finite({ ...layer, scales, zeros: scales.map((x) => x * 2 ** (layer.bits - 1)) });
  return finite({
    ...layer,
    scales,
    zeros: gridKinds[layer.gridKind].zeros === "real" ? layer.zeros.map((x, i) => toF16(divided(x, i))) : layer.zeros,
  });
}

/** A scale must not round to 0: 2⁻²⁴ is the smallest f16 above it. */
const notZero = (divided: number, before: number): number => divided || (before === 0 ? 0 : Math.sign(before) * 2 ** -24);

/** The same of super-blocks: their factors are divided, and the small integers stay. */
function divideFactors(layer: PackedLayer & SuperMatrix, s: ArrayLike<number>): PackedLayer {
  const perRow = layer.factors.length / layer.shape[0];
  const factors = layer.factors.map((x, i) => notZero(toF16(x / s[Math.floor(i / perRow)]), x));
  return finite({ ...layer, factors, ...pointsOf(layer.gridKind, factors, partsOf(layer)) });
}

function finite(layer: PackedLayer): PackedLayer {
  if (!areFinite(layer.scales) || !areFinite(layer.zeros)) throw overflow(layer.name);
  return layer;
}
