import { addedTokens, isObject, type Json, mergesOf, tokensOf, tokenTypes, unusable, type Vocabulary, vocabularyOf } from "./tokens";

const space = "▁";
export const byteToken = /^<0x[0-9A-F]{2}>$/;

/**
 * SentencePiece's BPE (Llama 2, Mistral), from the tokenizer.json that transformers makes of it: merges, where llama.cpp wants a score for each token. It
 * merges the two neighbours whose union has the highest score, wherever the union is a token. So the score is −(rank of the first merge that makes the
 * token), and every way of making a token must be a merge.
 * @throws QuantError `bad-format`.
 */
export function sentencePiece(json: Json, model: Json, size: number): Vocabulary {
  const addSpacePrefix = spacePrefix(json);
  const vocab = vocabularyOf(model);
  const merges = mergesOf(model);
  requireBytes(vocab);
  const ranks = ranksOf(merges);
  requireAllWays(vocab, merges, ranks);
  const typeOf = (token: string) =>
    token === model.unk_token ? tokenTypes.unknown : byteToken.test(token) ? tokenTypes.byte : tokenTypes.normal;
  const tokens = tokensOf(vocab, addedTokens(json), size, typeOf);
  // What no merge makes needs a score below all others.
  const scores = Float32Array.from(tokens.texts, (token, id) =>
    tokens.types[id] === tokenTypes.normal ? -(ranks.get(token) ?? merges.length) : 0,
  );
  return { model: "llama", tokens, scores, addSpacePrefix };
}

function ranksOf(merges: readonly [string, string][]): Map<string, number> {
  const ranks = new Map<string, number>();
  for (const [rank, [left, right]] of merges.entries()) {
    const made = left + right;
    if (!ranks.has(made)) ranks.set(made, rank);
  }
  return ranks;
}

/** Characters that bytes stand in for, where the vocabulary does not have them. */
function requireBytes(vocab: ReadonlyMap<string, number>): void {
  for (let byte = 0; byte < 256; byte++)
    if (!vocab.has(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`))
      throw unusable(`tokenizer.json has no token for the byte ${byte}`);
}

function requireAllWays(vocab: ReadonlyMap<string, number>, merges: readonly [string, string][], ranks: ReadonlyMap<string, number>): void {
  const pairs = new Set(merges.map((pair) => pair.join(" ")));
  for (const token of vocab.keys()) {
    if (!ranks.has(token)) continue;
    const letters = [...token];
    for (let i = 1, at = letters[0].length; i < letters.length; at += letters[i++].length) {
      const [left, right] = [token.slice(0, at), token.slice(at)];
      if (vocab.has(left) && vocab.has(right) && !pairs.has(`${left} ${right}`))
        throw unusable("tokenizer.json's merges are not those of a SentencePiece model, whose scores llama.cpp needs");
    }
  }
}

/** Whether "▁" is put before a text. @throws QuantError `bad-format` where spaces become anything but "▁", or texts are changed in another way. */
function spacePrefix({ normalizer, pre_tokenizer: pre }: Json): boolean {
  const steps = stepsOf(normalizer, "normalizers");
  const prepends = steps.some((step) => step.type === "Prepend" && step.prepend === space);
  const replaces = steps.some(
    (step) => step.type === "Replace" && isObject(step.pattern) && step.pattern.String === " " && step.content === space,
  );
  const metaspace = isObject(pre) && pre.type === "Metaspace" ? pre : null;
  const isKnown = steps.length === Number(prepends) + Number(replaces) && (metaspace ? (metaspace.replacement ?? space) === space : !pre);
  if (!isKnown || !(replaces || metaspace)) throw unusable("tokenizer.json changes texts in a way that llama.cpp does not");
  if (metaspace?.split === true && !steps.length)
    throw unusable("tokenizer.json cuts texts at spaces before it merges, which llama.cpp does not");
  return prepends || (metaspace !== null && metaspace.prepend_scheme !== "never" && metaspace.add_prefix_space !== false);
}

function stepsOf(step: unknown, list: string): Json[] {
  if (!isObject(step)) return [];
  return step.type === "Sequence" && Array.isArray(step[list]) ? step[list].filter(isObject) : [step];
}
