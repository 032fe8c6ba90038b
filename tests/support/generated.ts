/** Checkpoints of real models' shapes whose bytes are made as they are read: nothing is on disk or in memory. */
import { bytesFile, memorySource } from "../../src/io/memory";
import type { Source, SourceFile } from "../../src/io/types";
import { layoutFile, specBytes, type TensorSpec } from "../../src/io/writer";
import { embeddingName, finalNormName, headName, layerName, layerShape, normNames } from "../../src/model/layers";
import { parseSpec } from "../../src/model/spec";
import { layerKinds } from "../../src/recipe/recipe";

const llama = {
  ...{ architectures: ["LlamaForCausalLM"], model_type: "llama", hidden_act: "silu", rms_norm_eps: 1e-5, torch_dtype: "float16" },
  ...{ rope_theta: 10000, max_position_embeddings: 4096, tie_word_embeddings: false, vocab_size: 32000 },
};

/** config.json of the models as they are published. */
export const configs = {
  "Llama-2-7B": {
    ...llama,
    ...{ hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 32 },
  },
  "Llama-3-8B": {
    ...{ ...llama, vocab_size: 128256, rope_theta: 500000, max_position_embeddings: 8192, torch_dtype: "bfloat16" },
    ...{ hidden_size: 4096, intermediate_size: 14336, num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 8 },
  },
  "Llama-2-70B": {
    ...llama,
    ...{ hidden_size: 8192, intermediate_size: 28672, num_hidden_layers: 80, num_attention_heads: 64, num_key_value_heads: 8 },
  },
};

/** The tensors of a Llama in the order in which published files have them. */
function tensorsOf(config: Record<string, unknown>): TensorSpec[] {
  const spec = parseSpec(config);
  const dtype = config.torch_dtype === "bfloat16" ? "BF16" : "F16";
  const tensor = (name: string, ...shape: number[]): TensorSpec => ({ name, dtype, shape });
  const list = [tensor(embeddingName, spec.vocabulary, spec.hidden)];
  for (let m = 0; m < spec.blocks; m++) {
    const { input, postAttention } = normNames(m);
    for (const kind of layerKinds) list.push(tensor(`${layerName(m, kind)}.weight`, ...layerShape(spec, kind)));
    for (const name of [input, postAttention]) list.push(tensor(name, spec.hidden));
  }
  return [...list, tensor(finalNormName, spec.hidden), tensor(headName, spec.vocabulary, spec.hidden)];
}

/** A number that looks random, the same for the same place (an integer hash of 32 bits). */
function hash(place: number): number {
  let h = Math.imul(place ^ (place / 2 ** 32), 0x9e3779b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}

/** The 16 bits of one element: norms are 1, weights of either sign and 2⁻⁶ to 2⁻⁵ in size, like those of a layer of 4,096 inputs. */
function wordAt({ name, dtype }: TensorSpec, place: number): number {
  const half = dtype === "F16";
  if (/norm\.weight$/.test(name)) return half ? 0x3c00 : 0x3f80;
  const bits = hash(place);
  const [exponent, mantissa] = half ? [9 << 10, 0x3ff] : [121 << 7, 0x7f];
  return ((bits >>> 16) & 0x8000) | exponent | (bits & mantissa);
}

/** One shard. Reads need not begin or end with a tensor, but with a 16-bit word of it. */
function generatedShard(name: string, tensors: readonly TensorSpec[], seed: number): SourceFile {
  const { header, size } = layoutFile(tensors);
  const starts = new Float64Array(tensors.length);
  for (let i = 0, at = header.length; i < tensors.length; at += specBytes(tensors[i++])) starts[i] = at;
  return {
    name,
    size,
    async read(from, to) {
      const out = new Uint8Array(to - from);
      if (from < header.length) out.set(header.subarray(from, to));
      let i = Math.max(
        0,
        starts.findLastIndex((start) => start <= from),
      );
      for (let at = Math.max(from, header.length); at < to; at += 2) {
        while (i + 1 < starts.length && starts[i + 1] <= at) i++;
        const word = wordAt(tensors[i], seed + at);
        out[at - from] = word;
        if (at + 1 < to) out[at + 1 - from] = word >>> 8;
      }
      return out;
    },
  };
}

/** The checkpoint in shards of at most so many bytes, with its index. */
export function generatedSource(label: string, config: Record<string, unknown>, shardBytes = 5e9): Source {
  const shards: TensorSpec[][] = [[]];
  let bytes = 0;
  for (const tensor of tensorsOf(config)) {
    if (bytes > 0 && bytes + specBytes(tensor) > shardBytes) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += specBytes(tensor);
  }
  const nameOf = (s: number) => `model-${String(s + 1).padStart(5, "0")}-of-${String(shards.length).padStart(5, "0")}.safetensors`;
  const map = Object.fromEntries(shards.flatMap((list, s) => list.map(({ name }) => [name, nameOf(s)])));
  return memorySource(label, [
    bytesFile("config.json", JSON.stringify(config)),
    bytesFile("model.safetensors.index.json", JSON.stringify({ weight_map: map })),
    ...shards.map((list, s) => generatedShard(nameOf(s), list, s * 2 ** 33)),
  ]);
}
