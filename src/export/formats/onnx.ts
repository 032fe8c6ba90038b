import type { Checkpoint } from "../../model/checkpoint";
import type { Recipe } from "../../recipe/recipe";
import { onnxContainer } from "../containers/onnx";
import { decoderOf } from "../onnx/decoder";
import { type Float, positionsOf } from "../onnx/floats";
import { bitsOf } from "../onnx/matmul-nbits";
import { generationFiles, tokenizerFiles } from "../onnx/small-files";
import type { ExportJob, Format } from "./format";
import { withDtype } from "./source-order";

/**
 * An ONNX graph with the weights beside it, laid out as transformers.js looks for it: onnx/model_q4.onnx and its data files, config.json and the tokenizer.
 * Quantized layers are MatMulNBits, in the run's own codes, scales and zeros; all else is what the source holds. The graph computes in f32, or in f16.
 */
const onnxIn = (float: Float): Format => ({
  packed: true,
  library: "transformers.js",
  accepts: (kind) => kind === "integer-zero",
  entries: (job) => decoderOf(job, float).entries,
  container: async (job) => containerOf(job, float),
  files: (job) => files(job, float),
  // What the operators cannot hold, the graph refuses; bits and groups may differ from layer to layer, and layers may stay as they are.
  check: () => {},
  bitsPerWeight: (layer) => bitsOf(layer, float),
  notes: (recipe, model) => notes(recipe, model, float),
});

export const onnx = onnxIn("F32");
export const onnxF16 = onnxIn("F16");

/** What transformers.js calls a graph with weights of so many bits; only the file's name follows from it. */
const dtypes = { F32: { 2: "q2", 3: "q4", 4: "q4", 8: "q8" }, F16: { 2: "q2f16", 3: "q4f16", 4: "q4f16", 8: "q8" } } as const;

const graphName = (dtype: string): string => `model_${dtype === "q8" ? "quantized" : dtype}.onnx`;
const dtypeOf = ({ bits }: Recipe, float: Float): string => dtypes[float][bits];

const containerOf = (job: ExportJob, float: Float) =>
  onnxContainer(decoderOf(job, float), `onnx/${graphName(dtypeOf(job.plan.recipe, float))}`);

async function files(job: ExportJob, float: Float): Promise<Record<string, unknown>> {
  const { model, plan } = job;
  const dtype = dtypeOf(plan.recipe, float);
  const entries = decoderOf(job, float).entries.map(({ spec }) => spec);
  const { dataFiles } = containerOf(job, float).layout(entries);
  return {
    "config.json": {
      ...withDtype(model.config, float === "F16" ? "float16" : "float32"),
      model_type: model.config.model_type ?? modelType(model),
      "transformers.js_config": { dtype, use_external_data_format: { [graphName(dtype)]: dataFiles } },
    },
    ...generationFiles(model),
    ...(await tokenizerFiles(model.source)),
  };
}

/** transformers.js chooses a class by model_type alone. */
const modelType = ({ architecture }: Checkpoint): string => architecture.replace("ForCausalLM", "").toLowerCase();

function notes(recipe: Recipe, { spec }: Pick<Checkpoint, "spec">, float: Float): string[] {
  const dtype = dtypeOf(recipe, float);
  return [
    `Loads in transformers.js 4, as dtype "${dtype}", which its config names; in onnxruntime and onnxruntime-web with the data files beside onnx/${graphName(dtype)}.`,
    float === "F32"
      ? "Computes in f32, on WebGPU, WebAssembly and CPUs alike."
      : "Computes in f16, to which everything is rounded: embeddings, head and cache take half the memory. For WebGPU with shader-f16; CPUs run it too.",
    ...(recipe.bits === 3 ? ["onnxruntime multiplies with 2, 4 or 8 bits: codes of 3 take 4 here."] : []),
    ...(spec && positionsOf(spec) < spec.maxPositions
      ? [`Its rotary tables end after ${positionsOf(spec).toLocaleString("en")} tokens.`]
      : []),
  ];
}
