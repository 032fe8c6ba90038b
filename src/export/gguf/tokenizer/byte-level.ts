import { preTokenizerName } from "./pre-tokenizers";
import { addedTokens, isObject, type Json, mergesOf, tokensOf, tokenTypes, unusable, type Vocabulary, vocabularyOf } from "./tokens";

/** Byte-level BPE (GPT-2's kind: Llama 3, Qwen, SmolLM, Mistral Nemo), from tokenizer.json. @throws QuantError `bad-format`. */
export function byteLevel(json: Json, model: Json, size: number): Vocabulary {
  if (model.byte_fallback === true || model.dropout || model.continuing_subword_prefix || model.end_of_word_suffix)
    throw unusable("tokenizer.json has settings of its BPE model that llama.cpp does not have");
  // llama.cpp does not normalise. NFC changes few texts, and none that is NFC already.
  const { normalizer } = json;
  if (normalizer !== null && normalizer !== undefined && !(isObject(normalizer) && normalizer.type === "NFC"))
    throw unusable("tokenizer.json changes texts before it cuts them (normalizer), which llama.cpp does not");
  return {
    model: "gpt2",
    pre: preTokenizerName(json.pre_tokenizer, model.ignore_merges === true),
    tokens: tokensOf(vocabularyOf(model), addedTokens(json), size, () => tokenTypes.normal),
    merges: mergesOf(model).map((pair) => pair.join(" ")),
  };
}
