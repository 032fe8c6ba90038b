/**
 * The steps of a tokenizer.json before its model: those that change a text (normalizer) and those that cut it into words (pre_tokenizer). A stranger's may
 * hold a regular expression that goes on for ever, or make a text of a few letters one of gigabytes.
 */

type Json = Record<string, unknown>;

const contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const upper = String.raw`[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const lower = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const before = String.raw`[^\r\n\p{L}\p{N}]?`;
const spaces = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;

const words = (digits: string) => String.raw`${contractions}|${before}\p{L}+|${digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|${spaces}`;

/** The patterns by which well-known byte-level tokenizers cut a text into words. None of them tries much again where it does not match. */
export const wordPatterns = {
  llama3: words(String.raw`\p{N}{1,3}`),
  qwen2: words(String.raw`\p{N}`),
  tekken: String.raw`${before}${upper}*${lower}+|${before}${upper}+${lower}*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${spaces}`,
} as const;

const knownPatterns: ReadonlySet<unknown> = new Set(Object.values(wordPatterns));

/** Each may double a text; real tokenizers have four at most. */
const mostSteps = 8;

/** Steps with nothing in them that is the file's own. */
const fixed = [
  ...["ByteLevel", "Digits", "Punctuation", "Whitespace", "WhitespaceSplit", "BertPreTokenizer"],
  ...["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "BertNormalizer"],
];

/** Whether all steps before the model are known to take little time and room for a text of any kind. */
export function isQuick({ normalizer, pre_tokenizer }: Json): boolean {
  const steps = [...stepsOf(normalizer), ...stepsOf(pre_tokenizer)];
  return steps.length <= mostSteps && steps.every(isQuickStep);
}

function stepsOf(step: unknown): Json[] {
  if (typeof step !== "object" || step === null) return [];
  const { type, normalizers, pretokenizers } = step as Json;
  if (type !== "Sequence") return [step as Json];
  return [normalizers, pretokenizers].flatMap((list) => (Array.isArray(list) ? list.flatMap(stepsOf) : []));
}

function isQuickStep({ type, pattern, content, prepend, replacement, str_rep }: Json): boolean {
  const { String: text, Regex: regex } = Object(pattern) as { String?: unknown; Regex?: unknown };
  const isText = regex === undefined && typeof text === "string" && text !== "";
  switch (type) {
    case "Replace":
      return isText && isShort(content, text.length);
    case "Split":
      return isText || knownPatterns.has(regex);
    case "Prepend":
      return isShort(prepend, 1);
    case "Metaspace":
      return isShort(replacement, 1) && isShort(str_rep, 1);
    default:
      return fixed.some((name) => name === type);
  }
}

const isShort = (text: unknown, most: number): boolean => text === undefined || (typeof text === "string" && text.length <= most);
