/** llama.cpp's names for the ways in which byte-level tokenizers cut a text into words. It knows them by name only, and cuts by a table of its own. */
import { wordPatterns } from "../../../model/steps";
import { isObject, type Json, unusable } from "./tokens";

/** By the pattern of a Split that stands before ByteLevel. */
const byPattern: ReadonlyMap<string, string> = new Map([
  // The same cuts; "llama-bpe" also takes whole words that are tokens without merging, which tokenizer.json calls ignore_merges.
  [wordPatterns.llama3, "llama-bpe"],
  [wordPatterns.qwen2, "qwen2"],
  [wordPatterns.tekken, "tekken"],
]);

/** @param ignoreMerges tokenizer.json's setting. @throws QuantError `bad-format` for a way that llama.cpp has no name for, or none that is known here. */
export function preTokenizerName(pre: unknown, ignoreMerges: boolean): string {
  const parts = partsOf(pre);
  const last = parts.at(-1);
  const name =
    last?.type === "ByteLevel" && last.add_prefix_space !== true ? nameOf(parts.slice(0, -1), last.use_regex !== false) : undefined;
  if (!name) throw unusable("llama.cpp's name for the way in which tokenizer.json cuts texts into words (pre_tokenizer) is not known here");
  return name === "llama-bpe" && !ignoreMerges ? "smaug-bpe" : name;
}

/** The steps of tokenizer.json that cut as llama.cpp does by that name, and `ignore_merges` of its model; null for a name that is not known here. */
export function preTokenizerOf(name: string): { steps: Json[]; ignoreMerges: boolean } | null {
  const bytes = (splits: boolean) => ({ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: splits });
  if (name === "gpt-2") return { steps: [bytes(true)], ignoreMerges: false };
  if (name === "smollm") return { steps: [{ type: "Digits", individual_digits: true }, bytes(true)], ignoreMerges: false };
  const same = ["smaug-bpe", "llama3", "llama-v3"].includes(name) ? "llama-bpe" : name === "deepseek-r1-qwen" ? "qwen2" : name;
  const regex = [...byPattern].find(([, known]) => known === same)?.[0];
  if (!regex) return null;
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  return { steps: [split, bytes(false)], ignoreMerges: (same === "llama-bpe" && name !== "smaug-bpe") || name === "tekken" };
}

function partsOf(pre: unknown): Json[] {
  if (!isObject(pre)) return [];
  return pre.type === "Sequence" && Array.isArray(pre.pretokenizers) ? pre.pretokenizers.filter(isObject) : [pre];
}

/** @param parts before ByteLevel. @param splits whether ByteLevel cuts by GPT-2's pattern. */
function nameOf(parts: readonly Json[], splits: boolean): string | undefined {
  const [first] = parts;
  if (splits && !first) return "gpt-2";
  if (splits && parts.length === 1 && first.type === "Digits" && first.individual_digits === true) return "smollm";
  if (splits || parts.length !== 1 || first.type !== "Split" || first.behavior !== "Isolated" || first.invert === true) return undefined;
  const pattern = isObject(first.pattern) ? first.pattern.Regex : undefined;
  return typeof pattern === "string" ? byPattern.get(pattern) : undefined;
}
