import { f16Word, toF16 } from "../io/dtype";
import { codesOf } from "../ops/packed";
import type { DenseLayer, PackedLayer } from "../quant/stored";
import { asFloat16, type Format } from "./format";

const rowsAtOnce = 256;

/** Ŵ = f16(s·(code − z)) under the original names, no quantization_config: loads in everything (FORMATS.md (d)). */
export const dense: Format = {
  packed: false,
  tensors: ({ name, shape }) => [{ name: `${name}.weight`, dtype: "F16", shape }],
  bytes: (layer) => [layer.kind === "dense" ? once(layer) : denseRows(layer)],
  config: asFloat16,
  files: () => ({}),
  check: () => {},
  notes: () => ["Loads in every client; the file is as large as f16 weights are."],
};

function* once({ words }: DenseLayer): Generator<Uint8Array> {
  yield new Uint8Array(words.buffer);
}

function* denseRows(layer: PackedLayer): Generator<Uint8Array> {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const size = n / groups;
  const top = 2 ** layer.bits;
  // A group has at most 2^b different values: round each once, then look up.
  const table = new Uint16Array(top);
  for (let from = 0; from < out; from += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, out - from);
    const words = new Uint16Array(rows * n);
    const codes = codesOf(layer, from, from + rows);
    for (let g = 0; g < rows * groups; g++) {
      const at = from * groups + g;
      for (let code = 0; code < top; code++) table[code] = f16Word(toF16(layer.scales[at] * (code - layer.zeros[at])));
      for (let i = 0; i < size; i++) words[g * size + i] = table[codes[g * size + i]];
    }
    yield new Uint8Array(words.buffer);
  }
}
