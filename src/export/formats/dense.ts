import { f16Word } from "../../io/dtype";
import { pointOf } from "../../ops/grid-kinds";
import { codesOf } from "../../ops/packed";
import type { DenseLayer, PackedLayer } from "../../quant/coded";
import { safetensors } from "../containers/safetensors";
import type { Format } from "./format";
import { inSourceOrder, withDtype } from "./source-order";

const rowsAtOnce = 256;

/**
 * Ŵ, rounded to f16, under the original names, no quantization_config: loads wherever the source loads. A tensor that f16 cannot hold is written in f32,
 * as it was measured, and the config then says float32: bf16 would round what was measured, and refusing would lose a run.
 */
export const dense: Format = {
  packed: false,
  holdsTables: true,
  holdsBeyondF16: () => true,
  accepts: () => true,
  entries: (job) =>
    inSourceOrder(job, ({ name, shape }, wide) => [
      {
        spec: { name: `${name}.weight`, dtype: wide ? "F32" : "F16", shape },
        bytes: (layer) => (layer.kind === "dense" ? once(layer) : denseRows(layer, wide)),
      },
    ]),
  container: async () => safetensors,
  files: ({ model, changes }) => ({
    // An unknown architecture may not run in f16, so its own dtype stays.
    "config.json": model.spec ? withDtype(model.config, changes.wide.size ? "float32" : "float16") : model.config,
  }),
  check: () => {},
  notes: (_, { spec, config }) => {
    const size = "the file is as large as f16 weights are";
    if (!spec) return [`Loads where the original does: this architecture is not known here, and ${size}.`];
    const code = config.auto_map ? " Its config names remote code (auto_map), which is copied beside it." : "";
    return [`Loads in every client that loads the original; ${size}.${code}`];
  },
};

function* once({ words }: DenseLayer): Generator<Uint8Array> {
  yield new Uint8Array(words.buffer);
}

function* denseRows(layer: PackedLayer, wide: boolean): Generator<Uint8Array> {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const size = n / groups;
  const top = 2 ** layer.bits;
  // A group has at most 2^b different values: round each once, then look up.
  const table = wide ? new Float32Array(top) : new Uint16Array(top);
  for (let from = 0; from < out; from += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, out - from);
    const values = wide ? new Float32Array(rows * n) : new Uint16Array(rows * n);
    const codes = codesOf(layer, from, from + rows);
    for (let g = 0; g < rows * groups; g++) {
      const at = from * groups + g;
      for (let code = 0; code < top; code++) {
        const value = pointOf(layer.gridKind, layer.scales[at], layer.zeros[at], code);
        table[code] = wide ? value : f16Word(value);
      }
      for (let i = 0; i < size; i++) values[g * size + i] = table[codes[g * size + i]];
    }
    yield new Uint8Array(values.buffer);
  }
}
