/** The places where people run models, by their ids in a recipe. suiting.ts says what a recipe must be like for each. */
import { type FormatId, formatIds } from "./formats";

/** A program that the tests of this project load exports in. */
interface Client {
  readonly name: string;
  readonly version: string;
  /** What is compared there, and by which test. */
  readonly how: string;
}

interface Destination {
  readonly title: string;
  /** What it loads; the first is what choosing it sets. */
  readonly formats: readonly FormatId[];
  readonly tested: readonly Client[];
  /** A sentence on what is known besides. */
  readonly known: string;
}

const places = {
  measure: {
    title: "Nowhere yet: just measuring",
    formats: formatIds,
    tested: [],
    known: "Every format and every grid can be chosen; the dense one loads wherever the original does.",
  },
  transformers: {
    title: "transformers",
    formats: ["compressed-tensors", "gptq", "awq", "dense"],
    tested: [
      {
        name: "transformers",
        version: "5.23.0",
        how: "weights bit for bit, logits, perplexity (tests/interop/packed.test.ts, tests/interop/gptq.test.ts)",
      },
      { name: "compressed-tensors", version: "0.20.0", how: "weights bit for bit (tests/interop/packed.test.ts)" },
      { name: "GPTQModel", version: "7.6.0", how: "GPTQ’s and AWQ’s weights bit for bit (tests/interop/packed.test.ts)" },
    ],
    known: "On CPUs here; packed formats need the package of their name beside it, for AWQ GPTQModel.",
  },
  gptqmodel: {
    title: "GPTQModel",
    formats: ["gptq", "awq", "dense"],
    tested: [
      {
        name: "GPTQModel",
        version: "7.6.0",
        how: "weights bit for bit, logits, of mixed bits too (tests/interop/gptq.test.ts, tests/interop/packed.test.ts)",
      },
    ],
    known: "Layers may differ in bits and groups, or stay floats, which no other program reads in GPTQ’s format.",
  },
  vllm: {
    title: "vLLM, SGLang",
    formats: ["compressed-tensors", "gptq", "awq", "dense"],
    tested: [],
    known: "Not run here: going by the source code of vLLM and SGLang of mid-2026; the same files are tested in transformers.",
  },
  "llama.cpp": {
    title: "llama.cpp, LM Studio, Ollama",
    formats: ["gguf"],
    tested: [
      { name: "llama.cpp", version: "0.5.0", how: "weights bit for bit, perplexity, tokens, greedy text (tests/interop/gguf.test.ts)" },
      { name: "wllama", version: "3.13.0", how: "greedy text in Chromium (tests/e2e/gguf.spec.ts)" },
    ],
    known: "LM Studio, Ollama and Jan are built on llama.cpp.",
  },
  mlx: {
    title: "Apple MLX",
    formats: ["mlx"],
    tested: [
      { name: "mlx-lm", version: "0.32.2", how: "perplexity (tests/interop/mlx.test.ts)" },
      { name: "mlx", version: "0.32.4", how: "weights bit for bit up to 4 bits, on its CPU build for Linux (tests/interop/mlx.test.ts)" },
    ],
    known: "Not run on Apple silicon here.",
  },
  web: {
    title: "A web page (transformers.js)",
    formats: ["onnx", "onnx-f16"],
    tested: [
      {
        name: "transformers.js",
        version: "4.3.2",
        how: "greedy text in Node, and in Chromium on WebAssembly and WebGPU (tests/interop/onnx.test.ts, tests/e2e/onnx.spec.ts)",
      },
      { name: "onnxruntime", version: "1.32.0", how: "weights bit for bit, logits (tests/interop/onnx.test.ts)" },
    ],
    known: "Graph and weights are in onnxruntime’s own operators, which no other ONNX runtime need have.",
  },
} satisfies Record<string, Destination>;

export type DestinationId = keyof typeof places;
export const destinations: Readonly<Record<DestinationId, Destination>> = places;
export const destinationIds = Object.keys(destinations) as DestinationId[];
export const destinationTitles = Object.fromEntries(destinationIds.map((id) => [id, destinations[id].title])) as Record<
  DestinationId,
  string
>;

/** Which versions are known to load what is written for it: "Tested with mlx-lm 0.32.2 and mlx 0.32.4. …" */
export function loadsIn(destination: DestinationId): string {
  const { tested, known } = destinations[destination];
  const named = tested.map(({ name, version }) => `${name} ${version}`);
  const list = named.length > 1 ? `${named.slice(0, -1).join(", ")} and ${named.at(-1)}` : named[0];
  return list ? `Tested with ${list}. ${known}` : known;
}

/** Programs that are no places of their own here, by their names in small letters and digits, and the place that each is like. */
const runtimes: Readonly<Record<string, [title: string, like: DestinationId]>> = {
  ollama: ["Ollama", "llama.cpp"],
  lmstudio: ["LM Studio", "llama.cpp"],
  jan: ["Jan", "llama.cpp"],
  koboldcpp: ["KoboldCpp", "llama.cpp"],
  gpt4all: ["GPT4All", "llama.cpp"],
  llamafile: ["llamafile", "llama.cpp"],
  sglang: ["SGLang", "vllm"],
};

/** Other words for the places. */
const synonyms: Readonly<Record<string, DestinationId>> = {
  llamacpp: "llama.cpp",
  gguf: "llama.cpp",
  mlxlm: "mlx",
  apple: "mlx",
  hf: "transformers",
  huggingface: "transformers",
  transformersjs: "web",
  onnx: "web",
  onnxruntime: "web",
  browser: "web",
};

/** What to write for a program that is named in another way: "Ollama runs what llama.cpp runs: --for llama.cpp."; null: it is not known. */
export function knownRuntime(name: string): string | null {
  const key = name.toLowerCase().replace(/[^a-z0-9]/g, "");
  const id =
    destinationIds.find((id) => id.replace(/[^a-z0-9]/g, "") === key) ?? (Object.hasOwn(synonyms, key) ? synonyms[key] : undefined);
  if (id) return `Write --for ${id}.`;
  if (!Object.hasOwn(runtimes, key)) return null;
  const [title, like] = runtimes[key];
  return `${title} runs what ${destinations[like].title.split(",")[0]} runs: --for ${like}.`;
}
