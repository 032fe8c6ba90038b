import { describe, expect, test } from "vitest";
import { toF16Words } from "../../src/io/dtype";
import { type DenseLayer, divideRows, type PackedLayer, valuesOf } from "../../src/quant/coded";

const smallest = 2 ** -24;

const packed = (scales: number[], change: Partial<PackedLayer> = {}): PackedLayer => ({
  kind: "packed",
  name: "layer",
  symmetric: false,
  shape: [2, 8],
  bits: 4,
  words: new Uint32Array(2),
  scales: Float32Array.from(scales),
  gridKind: "integer-zero",
  zeros: new Float32Array(scales.length),
  ...change,
});
const dense = (values: number[]): DenseLayer => ({
  kind: "dense",
  name: "layer",
  shape: [2, values.length / 2],
  words: toF16Words(Float64Array.from(values)),
});

describe("dividing the rows of a layer", () => {
  test("divides the scales of each row by its own number, rounded to f16 once", () => {
    const { scales } = divideRows(packed([3, 6, 5, 10]), [2, 3]) as PackedLayer;
    expect([...scales]).toEqual([1.5, 3, 1.6669921875, 3.333984375]);
  });

  test("leaves integer zeros, which are codes, and divides real ones, which are weights", () => {
    const zeros = Float32Array.of(3, 6, 5, 10);
    const kept = divideRows(packed([1, 1, 1, 1], { zeros }), [2, 3]) as PackedLayer;
    expect([...kept.zeros]).toEqual([3, 6, 5, 10]);
    const divided = divideRows(packed([1, 1, 1, 1], { zeros, gridKind: "real-zero" }), [2, 3]) as PackedLayer;
    expect([...divided.zeros]).toEqual([1.5, 3, 1.6669921875, 3.333984375]);
  });

  test("leaves no scale at 0: the smallest that f16 has stands in, so that no row of weights vanishes", () => {
    const { scales } = divideRows(packed([smallest, 4 * smallest, 1, smallest]), [64, 1]) as PackedLayer;
    expect([...scales]).toEqual([smallest, smallest, 1, smallest]);
  });

  test("rounds scales to the significant bits of the layer's grid, and real zeros to f16", () => {
    const zeros = Float32Array.of(3, 6, 5, 10);
    const { scales, zeros: offsets } = divideRows(packed([3, 6, 5, 10], { zeros, gridKind: "real-zero" }), [2, 3], {
      scaleBits: 7,
    }) as PackedLayer;
    expect([...scales]).toEqual([1.5, 3, 1.671875, 3.34375]);
    expect([...offsets]).toEqual([1.5, 3, 1.6669921875, 3.333984375]);
  });

  test("divides weights that are on no grid as f16", () => {
    const { words } = divideRows(dense([3, 6, 5, 10]), [2, 3]) as DenseLayer;
    expect([...valuesOf({ ...dense([0, 0, 0, 0]), words })]).toEqual([1.5, 3, 1.6669921875, 3.333984375]);
  });

  test("is refused where a scale or a weight grows beyond f16", () => {
    expect(() => divideRows(packed([60_000, 1]), [0.5, 1])).toThrow(expect.objectContaining({ code: "scale-overflow", where: "layer" }));
    expect(() => divideRows(dense([60_000, 1]), [0.5, 1])).toThrow(expect.objectContaining({ code: "weight-overflow" }));
  });
});
