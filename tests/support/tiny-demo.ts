/** What the page's server has under demo/, on a model small enough for float64 in a test: a checkpoint, texts and questions, a word a token. */
import { mulberry32 } from "../../src/model/random";
import { safetensors, type Tensors, tinyConfig, tinyTensors } from "./tiny";

const words = 50;

/** Groups of 32 fit every layer, those of 128 none. */
export const tinyDemoConfig = {
  ...tinyConfig,
  hidden_size: 32,
  intermediate_size: 64,
  head_dim: 8,
  num_hidden_layers: 4,
  vocab_size: words,
  max_position_embeddings: 256,
};

const tokenizer = {
  version: "1.0",
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Whitespace" },
  post_processor: null,
  decoder: null,
  model: {
    type: "WordLevel",
    vocab: Object.fromEntries(Array.from({ length: words }, (_, id) => [id === 0 ? "<unk>" : `t${id}`, id])),
    unk_token: "<unk>",
  },
};

const bytes = (content: unknown) => new TextEncoder().encode(typeof content === "string" ? content : JSON.stringify(content));

function text(seed: number, count: number): string {
  const next = mulberry32(seed);
  return Array.from({ length: count }, () => `t${1 + (next() % (words - 1))}`).join(" ");
}

const lines = (rows: object[]) => rows.map((row) => JSON.stringify(row)).join("\n");

/** Files of a checkpoint, by name. */
export function tinyCheckpoint(config: Record<string, unknown> = tinyDemoConfig): Map<string, Uint8Array> {
  return new Map([
    ["config.json", bytes(config)],
    // A family that is not known here has Llama's tensors.
    ["model.safetensors", safetensors(tinyTensors({ ...config, architectures: tinyConfig.architectures, model_type: "llama" }))],
    ["tokenizer.json", bytes(tokenizer)],
    ["tokenizer_config.json", bytes({ tokenizer_class: "PreTrainedTokenizerFast", unk_token: "<unk>" })],
  ]);
}

/** By path below demo/, in the files that the demo really has. */
export function tinyDemo(change: Record<string, unknown> = {}): Map<string, Uint8Array> {
  const config = { ...tinyDemoConfig, ...change };
  const shard = (n: number) => `model-0000${n}-of-00002.safetensors`;
  const tensors = [...tinyTensors(config)];
  const half = tensors.length >> 1;
  const shards: [string, Tensors][] = [
    [shard(1), new Map(tensors.slice(0, half))],
    [shard(2), new Map(tensors.slice(half))],
  ];
  const index = Object.fromEntries(shards.flatMap(([file, held]) => [...held.keys()].map((name) => [name, file])));
  const checkpoint = tinyCheckpoint(config);
  checkpoint.delete("model.safetensors");
  for (const [file, held] of shards) checkpoint.set(file, safetensors(held));
  checkpoint.set("model.safetensors.index.json", bytes({ metadata: {}, weight_map: index }));
  // No right answer but for chance: what is asked of it here is how it is told.
  const questions = Array.from({ length: 24 }, (_, i) => ({
    kind: ["who", "where"][i % 2],
    context: text(100 + i, 6),
    choices: [` ${text(200 + i, 3)}`, ` ${text(300 + i, 3)}`],
    answer: i % 3 === 0 ? 1 : 0,
  }));
  return new Map([
    ...[...checkpoint].map(([name, content]): [string, Uint8Array] => [`model/${name}`, content]),
    ["calibration.jsonl", bytes(lines([{ text: text(1, 3000) }]))],
    ["evaluation.jsonl", bytes(lines([{ text: text(2, 3000) }]))],
    ["tasks.jsonl", bytes(lines(questions))],
  ]);
}
