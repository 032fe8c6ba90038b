import { bf16Word, convertFloats, type FloatDtype, f16Word } from "../../io/dtype";
import { pointOf } from "../../ops/grid-kinds";
import { codesOf } from "../../ops/packed";
import type { DenseLayer, PackedLayer } from "../../quant/coded";
import type { Recipe } from "../../recipe/recipe";
import { safetensors } from "../containers/safetensors";
import type { Format } from "./format";
import { inSourceOrder, withDtype, withoutFileName } from "./source-order";

const rowsAtOnce = 256;

const dtypes = { f16: "F16", bf16: "BF16", f32: "F32" } as const;
/** As config.json names them. */
const configNames = { f16: "float16", bf16: "bfloat16", f32: "float32" } as const;

/** The dtype that was chosen for all weights; undefined where each gets its own. */
const chosen = ({ denseDtype }: Recipe): FloatDtype | undefined => (denseDtype === "auto" ? undefined : dtypes[denseDtype]);

/**
 * Ŵ under the original names, no quantization_config: loads wherever the source loads. Each ŵ is rounded once, to the dtype that was chosen, which all other
 * weights get too. With "auto" that is f16, and others stay as they are; a tensor that f16 cannot hold is written in f32, as it was measured, and the config
 * then says float32: bf16 would round what was measured, and refusing would lose a run.
 */
export const dense: Format = {
  packed: false,
  holdsTables: true,
  othersIn: ({ denseDtype }) => (denseDtype === "auto" ? undefined : denseDtype),
  holdsBeyondF16: ({ denseDtype }) => denseDtype !== "f16",
  accepts: () => true,
  entries: (job) => {
    const all = chosen(job.plan.recipe);
    return inSourceOrder(
      job,
      ({ name, shape }, wide) => {
        const dtype = all ?? (wide ? "F32" : "F16");
        return [
          {
            spec: { name: `${name}.weight`, dtype, shape },
            bytes: (layer) => (layer.kind === "dense" ? wordRows(layer, dtype) : pointRows(layer, dtype)),
          },
        ];
      },
      all,
    );
  },
  container: async () => safetensors,
  files: ({ model, plan: { recipe }, changes }) => ({
    "config.json": configOf(model.config, recipe, changes.wide.size > 0, model.spec !== null),
  }),
  check: () => {},
  notes,
};

function configOf(source: Record<string, unknown>, { denseDtype }: Recipe, wide: boolean, isKnown: boolean): Record<string, unknown> {
  if (denseDtype !== "auto") return withDtype(source, configNames[denseDtype]);
  // An unknown architecture may not run in f16, so its own dtype stays.
  return isKnown ? withDtype(source, wide ? "float32" : "float16") : withoutFileName(source);
}

function notes({ denseDtype }: Recipe, { spec, config }: Parameters<Format["notes"]>[1]): string[] {
  const size = `the file is as large as ${denseDtype === "auto" ? "f16" : denseDtype} weights are`;
  const rounded =
    denseDtype === "bf16"
      ? ["bf16 rounds each weight to 8 significant bits, so that clients compute a little less well than was measured."]
      : [];
  if (!spec) return [`Loads where the original does: this architecture is not known here, and ${size}.`, ...rounded];
  const code = config.auto_map ? " Its config names remote code (auto_map), which is copied beside it." : "";
  return [`Loads in every client that loads the original; ${size}.${code}`, ...rounded];
}

function* wordRows({ words, shape: [out, n] }: DenseLayer, dtype: FloatDtype): Generator<Uint8Array> {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
  for (let from = 0; from < out; from += rowsAtOnce)
    yield convertFloats(bytes.subarray(2 * from * n, 2 * Math.min(out, from + rowsAtOnce) * n), "F16", dtype);
}

const roundings = { F16: f16Word, BF16: bf16Word, F32: (x: number) => x };

function* pointRows(layer: PackedLayer, dtype: FloatDtype): Generator<Uint8Array> {
  const [out, n] = layer.shape;
  const groups = layer.scales.length / out;
  const size = n / groups;
  const top = 2 ** layer.bits;
  const round = roundings[dtype];
  const List = dtype === "F32" ? Float32Array : Uint16Array;
  // A group has at most 2^b different values: round each once, then look up.
  const table = new List(top);
  for (let from = 0; from < out; from += rowsAtOnce) {
    const rows = Math.min(rowsAtOnce, out - from);
    const values = new List(rows * n);
    const codes = codesOf(layer, from, from + rows);
    for (let g = 0; g < rows * groups; g++) {
      const at = from * groups + g;
      for (let code = 0; code < top; code++) table[code] = round(pointOf(layer.gridKind, layer.scales[at], layer.zeros[at], code));
      for (let i = 0; i < size; i++) values[g * size + i] = table[codes[g * size + i]];
    }
    yield new Uint8Array(values.buffer);
  }
}
