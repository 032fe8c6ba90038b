/** Checkpoints as people have them, small: what is read and what is refused. docs/checkpoints.md is made from this list. */
import { toF16Words } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source, SourceFile } from "../../src/io/types";
import { layerName } from "../../src/model/layers";
import { safetensors, type Tensors, tinyConfig, tinyTensors } from "../support/tiny";

export interface Case {
  /** What somebody has, in plain words. */
  what: string;
  /** A part of what is told of it: a note where it is read, a sentence where it is refused. */
  says?: string;
  make(): Source;
}

type Json = Record<string, unknown>;
type Change = (tensors: Tensors) => void;

const INDEX = "model.safetensors.index.json";
const parts = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

const text = (name: string, content: unknown) => bytesFile(name, typeof content === "string" ? content : JSON.stringify(content));
const config = (change: Json = {}) => text("config.json", { ...tinyConfig, ...change });
const weights = (tensors: Tensors = tinyTensors(), name = "model.safetensors") => bytesFile(name, safetensors(tensors));
const source = (...files: SourceFile[]) => memorySource("tiny", files);

/** A whole model of that config, its tensors changed. */
const model = (change: Json = {}, edit: Change = () => {}, ...more: SourceFile[]): Source => {
  const tensors = tinyTensors({ ...tinyConfig, tie_word_embeddings: change.tie_word_embeddings === true });
  edit(tensors);
  return source(config(change), weights(tensors), ...more);
};

function put(tensors: Tensors, name: string, shape: number[], dtype: "F16" | "I32" | "U8" | "F8_E4M3" = "F16", value = 0.01): void {
  const count = shape.reduce((a, b) => a * b, 1);
  const bytes =
    dtype === "F16"
      ? new Uint8Array(toF16Words(new Float32Array(count).fill(value)).buffer)
      : new Uint8Array(count * (dtype === "I32" ? 4 : 1));
  tensors.set(name, { spec: { name, dtype, shape }, bytes });
}

function only(name: string, shape: number[]): Tensors {
  const tensors: Tensors = new Map();
  put(tensors, name, shape);
  return tensors;
}

/** In two shards, with the index that these names make. */
function sharded(index: (map: Record<string, string>) => void, edit: Change = () => {}, ...more: SourceFile[]): Source {
  const tensors = tinyTensors();
  edit(tensors);
  const all = [...tensors];
  const halves = [all.slice(0, 9), all.slice(9)].map((half) => new Map(half));
  const map = Object.fromEntries(halves.flatMap((half, i) => [...half.keys()].map((name) => [name, parts[i]])));
  index(map);
  return source(config(), ...halves.map((half, i) => weights(half, parts[i])), text(INDEX, { metadata: {}, weight_map: map }), ...more);
}

const renamed =
  (change: (name: string) => string): Change =>
  (tensors) => {
    const all = [...tensors.values()];
    tensors.clear();
    for (const { spec, bytes } of all) tensors.set(change(spec.name), { spec: { ...spec, name: change(spec.name) }, bytes });
  };

const biases =
  (kinds: readonly ("q_proj" | "down_proj")[]): Change =>
  (tensors) => {
    for (const kind of kinds) for (let m = 0; m < 3; m++) put(tensors, `${layerName(m, kind)}.bias`, [24]);
  };

const lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n";
const q = `${layerName(0, "q_proj")}`;
const consolidated = () => weights(new Map([...tinyTensors()].slice(0, 2)), "consolidated.safetensors");

export const readCases: Case[] = [
  { what: "One model.safetensors", make: () => model() },
  { what: "Shards with their index", make: () => sharded(() => {}) },
  {
    what: "Shards without an index",
    make: () => source(config(), ...sharded(() => {}).files.filter(({ name }) => name.startsWith("model-"))),
  },
  {
    what: "model.safetensors beside old shards and their index: the single file, as transformers takes it",
    says: "Read model.safetensors; left out: model-00001-of-00002.safetensors, model-00002-of-00002.safetensors, the index",
    make: () =>
      sharded(
        () => {},
        () => {},
        weights(),
      ),
  },
  {
    what: "model.safetensors and an index of shards that are gone",
    says: "left out: the index model.safetensors.index.json",
    make: () => model({}, () => {}, text(INDEX, { weight_map: { a: parts[0] } })),
  },
  {
    what: "Mistral's consolidated.safetensors, adapters, variants and .bin files beside the model",
    says: "left out: consolidated.safetensors, adapter_model.safetensors, model.fp16.safetensors, pytorch_model.bin",
    make: () =>
      model(
        {},
        () => {},
        consolidated(),
        weights(undefined, "adapter_model.safetensors"),
        weights(undefined, "model.fp16.safetensors"),
        text("pytorch_model.bin", "x"),
      ),
  },
  {
    what: "The same beside shards",
    says: "left out: consolidated.safetensors",
    make: () =>
      sharded(
        () => {},
        () => {},
        consolidated(),
      ),
  },
  { what: "One file of another name", make: () => source(config(), weights(undefined, "tiny.safetensors")) },
  {
    what: "An index that names a tensor which no file has and nobody needs",
    says: "names tensors that no file has: rotary.inv_freq",
    make: () => sharded((map) => Object.assign(map, { "rotary.inv_freq": parts[0] })),
  },
  {
    what: "An index that leaves tensors out, or names another shard for them",
    says: "does not name tensors that the files have: model.embed_tokens.weight",
    make: () => sharded((map) => delete map["model.embed_tokens.weight"]),
  },
  {
    what: 'File names of an index with "./" before them',
    make: () =>
      sharded((map) => {
        for (const name of Object.keys(map)) map[name] = `./${map[name]}`;
      }),
  },
  {
    what: "NaN and Infinity in config.json, as Python writes them",
    make: () =>
      source(
        text(
          "config.json",
          JSON.stringify({ ...tinyConfig, a: 1, b: 2 })
            .replace('"a":1', '"a":NaN')
            .replace('"b":2', '"b":[-Infinity,0.0]'),
        ),
        weights(),
      ),
  },
  {
    what: "An unknown architecture whose config.json holds Infinity (rounded, not calibrated)",
    make: () =>
      source(
        text("config.json", '{"architectures":["MambaForCausalLM"],"model_type":"mamba2","time_step_limit":[0.0,Infinity]}'),
        weights(only("backbone.layers.0.in_proj.weight", [64, 32])),
      ),
  },
  {
    what: "16-bit weights with a quantization_config left behind",
    says: "quantization_config is left over",
    make: () => model({ quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } }),
  },
  { what: "No `architectures` in config.json: by model_type", make: () => model({ architectures: undefined }) },
  { what: "An architecture by another name", says: "read as Llama", make: () => model({ architectures: ["LlamaForCausalLMEagle3"] }) },
  { what: "An old spelling (LLaMAForCausalLM)", make: () => model({ architectures: ["LLaMAForCausalLM"] }) },
  {
    what: "YaRN, linear, dynamic and llama3 rope scaling",
    make: () => model({ rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 16 } }),
  },
  {
    what: "llama3 rope scaling without original_max_position_embeddings",
    make: () => model({ rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 } }),
  },
  {
    what: "Sliding windows by layer_types or max_window_layers",
    make: () =>
      model({
        model_type: "mistral",
        architectures: ["MistralForCausalLM"],
        sliding_window: 8,
        layer_types: ["full_attention", "sliding_attention", "full_attention"],
      }),
  },
  {
    what: "Biases in the file that config.json does not have: ignored",
    says: "Biases of q_proj, down_proj are ignored",
    make: () => model({}, biases(["q_proj", "down_proj"])),
  },
  {
    what: "Other tensors that the architecture has no place for: ignored",
    says: "Ignored, as in transformers: model.layers.0.self_attn.q_norm.weight and 1 more",
    make: () =>
      model({}, (t) => {
        put(t, "model.layers.0.self_attn.q_norm.weight", [6]);
        put(t, "lm_head.bias", [50]);
      }),
  },
  {
    what: "Tied embeddings, and another head in the file: the file's head",
    says: "a head of its own that differs",
    make: () => source(config({ tie_word_embeddings: true }), weights()),
  },
  {
    what: "Tied embeddings with the same head once more",
    make: () =>
      model({ tie_word_embeddings: true }, (t) =>
        t.set("lm_head.weight", {
          ...t.get("model.embed_tokens.weight")!,
          spec: { ...t.get("model.embed_tokens.weight")!.spec, name: "lm_head.weight" },
        }),
      ),
  },
];

export const refusedCases: Case[] = [
  { what: "No part of a checkpoint", says: "This is no checkpoint: notes.txt. Give a", make: () => source(text("notes.txt", "a")) },
  { what: "A zip among others", says: "m.zip lies among other files", make: () => source(text("a.txt", "a"), text("m.zip", "PK")) },
  { what: "No config.json", says: "A file is missing: config.json", make: () => source(weights()) },
  {
    what: "PyTorch's .bin files only",
    says: "pytorch_model.bin is in PyTorch's pickle format",
    make: () => source(config(), text("pytorch_model.bin", "x")),
  },
  {
    what: ".bin files beside one oddly named file: transformers would read the .bin",
    says: "PyTorch's pickle format",
    make: () => source(config(), text("pytorch_model.bin", "x"), weights(undefined, "extra.safetensors")),
  },
  { what: "A GGUF file that is cut off", says: "ends before its header does", make: () => source(text("m.gguf", "GGUF")) },
  {
    what: "A LoRA adapter",
    says: "is a LoRA adapter",
    make: () => source(config(), weights(undefined, "adapter_model.safetensors"), text("adapter_config.json", "{}")),
  },
  {
    what: "A LoRA adapter under the model's file name",
    says: "belongs to a LoRA adapter",
    make: () => source(config(), weights(only("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", [8, 24]))),
  },
  {
    what: "Meta's own format (consolidated.00.pth)",
    says: "Meta's original format",
    make: () => source(text("consolidated.00.pth", "PK"), text("params.json", "{}")),
  },
  { what: "Mistral's consolidated.safetensors alone", says: "Mistral's own tensor names", make: () => source(config(), consolidated()) },
  { what: "The Hub cache's root folder", says: "snapshots", make: () => memorySource("models--org--tiny", []) },
  {
    what: "A shard that is missing",
    says: "model-00002-of-00002.safetensors (named by",
    make: () => source(...sharded(() => {}).files.filter(({ name }) => name !== parts[1])),
  },
  {
    what: "Several files that could each be the model",
    says: "several files could be the model",
    make: () => source(config(), weights(undefined, "a.safetensors"), weights(undefined, "b.safetensors")),
  },
  {
    what: "An index that leads out of the folder",
    says: "not a plain file name",
    make: () => sharded((map) => (map["lm_head.weight"] = "../x.safetensors")),
  },
  {
    what: "A Git LFS pointer in place of the weights",
    says: "Git LFS pointer",
    make: () => source(config(), text("model.safetensors", lfs)),
  },
  {
    what: "A Git LFS pointer in place of config.json",
    says: "config.json is a Git LFS pointer",
    make: () => source(text("config.json", lfs), weights()),
  },
  {
    what: "A web page in place of a file",
    says: "config.json is a web page",
    make: () => source(text("config.json", "<!doctype html>\n<html>"), weights()),
  },
  {
    what: "A web page in place of the weights",
    says: "model.safetensors is a web page",
    make: () => source(config(), text("model.safetensors", "<!DOCTYPE html><html>")),
  },
  {
    what: "A byte order mark before config.json",
    says: "begins with a byte order mark",
    make: () => source(text("config.json", `\uFEFF${JSON.stringify(tinyConfig)}`), weights()),
  },
  { what: "An empty config.json", says: "config.json is empty", make: () => source(text("config.json", ""), weights()) },
  {
    what: "AWQ in another layout than GEMM",
    says: "quantized already: by AWQ",
    make: () => model({ quantization_config: { quant_method: "awq", version: "gemv" } }, (t) => put(t, `${q}.qweight`, [24, 3], "I32")),
  },
  { what: "bitsandbytes", says: "by bitsandbytes", make: () => model({}, (t) => put(t, `${q}.weight.absmax`, [9])) },
  {
    what: "compressed-tensors, its old key too",
    says: "by compressed-tensors",
    make: () => model({ compression_config: { format: "pack-quantized" } }, (t) => put(t, `${q}.weight_packed`, [24, 3], "I32")),
  },
  {
    what: "compressed-tensors of another format than pack-quantized",
    says: "by compressed-tensors",
    make: () =>
      model({ quantization_config: { quant_method: "compressed-tensors", format: "float-quantized" } }, (t) =>
        put(t, `${q}.weight_scale`, [24, 1]),
      ),
  },
  {
    what: "MLX with packed embeddings, as mlx-lm's converter makes it",
    says: "embed_tokens.weight is packed as the layers are",
    make: () =>
      model({ quantization: { group_size: 64, bits: 4 }, quantization_config: { group_size: 64, bits: 4 } }, (t) => {
        put(t, "model.embed_tokens.scales", [50, 1]);
        put(t, `${q}.weight`, [24, 3], "I32");
      }),
  },
  { what: "FP8, with or without its settings", says: "by FP8", make: () => model({}, (t) => put(t, `${q}.weight`, [24, 24], "F8_E4M3")) },
  {
    what: "AutoRound in its own packing",
    says: "by AutoRound",
    make: () =>
      model({ quantization_config: { quant_method: "auto-round", packing_format: "auto_round:auto_awq" } }, (t) =>
        put(t, `${q}.qweight`, [3, 24], "I32"),
      ),
  },
  {
    what: "An old GPTQ repository, its settings not in config.json",
    says: "by GPTQ or AWQ",
    make: () => model({}, (t) => put(t, `${q}.qweight`, [3, 24], "I32"), text("quantize_config.json", "{}")),
  },
  {
    what: "torch.compile's names (_orig_mod.)",
    says: 'every tensor\'s name begins with "_orig_mod.", which torch.compile',
    make: () =>
      model(
        {},
        renamed((name) => `_orig_mod.${name}`),
      ),
  },
  {
    what: "DataParallel's names (module.)",
    says: "DataParallel",
    make: () =>
      model(
        {},
        renamed((name) => `module.${name}`),
      ),
  },
  {
    what: "GPT-2 and its kin (Conv1D)",
    says: "transposed (Conv1D)",
    make: () => model({ architectures: ["GPT2LMHeadModel"], model_type: "gpt2" }),
  },
  {
    what: "A head that is neither tied nor in the file: transformers would draw one at random",
    says: "A tensor is missing from the checkpoint: lm_head.weight",
    make: () => model({}, (t) => t.delete("lm_head.weight")),
  },
  { what: "A bias that config.json names and the files lack", says: "q_proj.bias", make: () => model({ attention_bias: true }) },
  {
    what: "A switch that is neither true nor false (attention_bias: 1)",
    says: "attention_bias is neither true nor false",
    make: () => model({ attention_bias: 1 }),
  },
  {
    what: "A rope_theta in quotation marks",
    says: "rope_theta is not a positive number",
    make: () => model({ rope_theta: "500000" }),
  },
  {
    what: "A vocabulary size that is not the embeddings' number of rows",
    says: "config.json implies 60 × 24",
    make: () => source(config({ vocab_size: 60 }), weights()),
  },
  {
    what: "Fewer blocks in config.json than in the files",
    says: "config.json says 2 blocks",
    make: () => source(config({ num_hidden_layers: 2 }), weights()),
  },
  {
    what: "Sliding layers without a window: transformers fails on it too",
    says: "use_sliding_window is not true",
    make: () =>
      model(
        {
          model_type: "qwen2",
          architectures: ["Qwen2ForCausalLM"],
          layer_types: ["sliding_attention", "full_attention", "full_attention"],
        },
        biases(["q_proj"]),
      ),
  },
];
