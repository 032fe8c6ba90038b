/** The demo's files, whole and broken in every way that people meet. */
import { readFileSync } from "node:fs";

export interface Upload {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

const folder = new URL("../../public/demo/model/", import.meta.url);
const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const names = ["config.json", "model.safetensors.index.json", ...shards, "tokenizer.json", "tokenizer_config.json"];

type Change = (content: Buffer) => Buffer | null;

/** The demo with some files changed; a change to null leaves the file out. */
export function demoWith(changes: Record<string, Change> = {}): Upload[] {
  return names.flatMap((name) => {
    const content = readFileSync(new URL(name, folder));
    const changed = changes[name] ? changes[name](content) : content;
    return changed ? [{ name, mimeType: "application/octet-stream", buffer: changed }] : [];
  });
}

const file = (name: string, content: string): Upload => ({ name, mimeType: "application/octet-stream", buffer: Buffer.from(content) });

/** Changes that leave out every other file. */
const only = (kept: string): Record<string, Change> =>
  Object.fromEntries(names.filter((name) => name !== kept).map((name) => [name, () => null]));

/** Whole, with files beside it that are no part of the model, and a tied head that differs: how it is told. */
export const noted: [what: string, files: () => Upload[], note: RegExp][] = [
  [
    "Mistral's own copy and an adapter beside the model",
    () => [...demoWith(), file("consolidated.safetensors", "x"), file("adapter_model.safetensors", "x")],
    /Read the 2 files that model\.safetensors\.index\.json names; left out: consolidated\.safetensors, adapter_model\.safetensors/,
  ],
  [
    "settings left over from a quantization",
    () => demoWith(config({ quantization_config: { quant_method: "bitsandbytes", load_in_4bit: true } })),
    /quantization_config is left over/,
  ],
  ["a model known by its model_type only", () => demoWith(config({ architectures: ["LLaMAForCausalLMWithTools"] })), /read as Llama/],
];

const config = (change: Record<string, unknown>): Record<string, Change> => ({
  "config.json": (content) => Buffer.from(JSON.stringify({ ...JSON.parse(content.toString()), ...change })),
});

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

/** The second shard with its header edited. */
const header = (change: (header: Header, names: string[]) => void): Record<string, Change> => ({
  [shards[1]]: (content) => {
    const length = Number(content.readBigUInt64LE(0));
    const parsed = JSON.parse(content.toString("utf8", 8, 8 + length)) as Header;
    change(
      parsed,
      Object.keys(parsed).filter((name) => name !== "__metadata__"),
    );
    return withHeader(JSON.stringify(parsed), content.subarray(8 + length));
  },
});

function withHeader(json: string, data: Buffer): Buffer {
  const text = Buffer.from(json);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, data]);
}

export const hostileName = '<img src=x onerror="window.hacked=1">';

/** What is wrong, the files, and what the sentence must say. */
export const broken: [what: string, files: () => Upload[], sentence: RegExp][] = [
  ["a missing shard", () => demoWith({ [shards[1]]: () => null }), /A file is missing: model-00002-of-00002\.safetensors/],
  ["no config.json", () => demoWith({ "config.json": () => null }), /A file is missing: config\.json/],
  ["a truncated file", () => demoWith({ [shards[1]]: (c) => c.subarray(0, c.length - 1000) }), /shorter than its header says.*00002/],
  [
    "overlapping offsets",
    () =>
      demoWith(
        header((h, [first, second]) => {
          h[second].data_offsets[0] = h[first].data_offsets[0];
        }),
      ),
    /malformed/,
  ],
  [
    "a huge header",
    () => demoWith({ [shards[1]]: () => withHeader(`{${" ".repeat(26 * 2 ** 20)}}`, Buffer.alloc(0)) }),
    /larger than 25 MB/,
  ],
  ["nested JSON as a header", () => demoWith({ [shards[1]]: () => withHeader("[".repeat(10 * 2 ** 20), Buffer.alloc(0)) }), /malformed/],
  [
    "a dtype that cannot be quantized",
    () =>
      demoWith(
        header((h, tensors) => {
          for (const name of tensors) h[name].dtype = "I16";
        }),
      ),
    /data type cannot be quantized.*I16/,
  ],
  [
    "a broken config.json",
    () => demoWith({ "config.json": () => Buffer.from('{"architectures": ["Llama') }),
    /not valid JSON.*config\.json/,
  ],
  ["a config.json that contradicts the files", () => demoWith(config({ hidden_size: 128 })), /config\.json/],
  ["a config.json with fewer blocks", () => demoWith(config({ num_hidden_layers: 11 })), /contradicts itself.*11 blocks/],
  [
    "an unsupported architecture",
    () => demoWith(config({ architectures: ["GPT2LMHeadModel"], model_type: "gpt2" })),
    /architecture is not supported.*GPT2LMHeadModel/,
  ],
  [
    "a web page in place of config.json",
    () => demoWith({ "config.json": () => Buffer.from("<!doctype html><html>") }),
    /config\.json is a web page/,
  ],
  [
    "a Git LFS pointer in place of a shard",
    () => demoWith({ [shards[0]]: () => Buffer.from("version https://git-lfs.github.com/spec/v1\n") }),
    /Git LFS pointer/,
  ],
  [
    "a LoRA adapter",
    () => [...demoWith(only("config.json")), file("adapter_model.safetensors", "x"), file("adapter_config.json", "{}")],
    /is a LoRA adapter.*Merge it/,
  ],
  ["PyTorch's pickles only", () => [...demoWith(only("config.json")), file("pytorch_model.bin", "PK")], /PyTorch's pickle format/],
  ["a GGUF file that is cut off", () => [file("model-Q4_K_M.gguf", "GGUF")], /ends before its header does/],
  [
    "a hostile tensor name",
    () =>
      demoWith(
        header((h, [first, second]) => {
          h[hostileName] = { ...h[second], data_offsets: h[first].data_offsets };
          delete h[second];
        }),
      ),
    /malformed.*<img src=x/,
  ],
];
