/** Cuts a long text into pieces whose ids, joined, are those of the whole text, so that tokenizing can be cancelled and ends when there are enough ids. */

/** The tokenizer library's encoding: text to ids, with or without special tokens. On another thread it takes a while. */
export type Tokenize = (text: string, special: boolean) => number[] | Promise<number[]>;

export interface Cutter {
  /** The special ids that stand before and after every document. */
  prefix: readonly number[];
  suffix: readonly number[];
  /** The text in pieces, each to be encoded without special tokens; the whole text where no cut is sure to leave the ids as they are. */
  cut(text: string): AsyncIterable<string>;
}

const pieceLength = 4096;
const sampleLength = 512;

type Json = Record<string, unknown>;

/**
 * The cutter for a tokenizer.json; null where its special ids cannot be found out. Texts are cut before a space, which leaves the ids as they are if the
 * tokenizer splits there anyway, or has no token that goes on after a space. A tokenizer that puts "▁" before every text turns it into the space that
 * the cut drops. Whether to drop it is found out by trying both on the beginning of the text.
 */
export async function cutterOf(tokenizer: Json, encode: Tokenize): Promise<Cutter | null> {
  const template = await templateOf(encode);
  if (!template) return null;
  const added = addedTokens(tokenizer);
  const mayCut = splitsAtSpaces(tokenizer);
  return {
    ...template,
    async *cut(text) {
      const strip =
        mayCut && text.length > pieceLength && !added.spaced.some((token) => text.includes(token))
          ? await stripOf(text, encode, added.all)
          : null;
      if (strip === null) yield text;
      else yield* split(text, pieceLength, strip, added.all);
    },
  };
}

/** The special ids before and after a text's own, found by encoding "a" with and without them; null where they cannot be told apart. */
async function templateOf(encode: Tokenize): Promise<{ prefix: number[]; suffix: number[] } | null> {
  const [all, own] = [await encode("a", true), await encode("a", false)];
  const at = all.findIndex((_, i) => own.every((id, j) => all[i + j] === id));
  return at < 0 || !own.length ? null : { prefix: all.slice(0, at), suffix: all.slice(at + own.length) };
}

/** Tokens that are found in a text before anything else; `spaced` ones look at the spaces around them. */
function addedTokens({ added_tokens: list }: Json): { all: string[]; spaced: string[] } {
  const tokens = (Array.isArray(list) ? list : []) as { content?: unknown; lstrip?: boolean; rstrip?: boolean; single_word?: boolean }[];
  const known = tokens.filter((t): t is typeof t & { content: string } => typeof t?.content === "string" && t.content !== "");
  const spaced = known.filter((t) => t.lstrip || t.rstrip || t.single_word || /\s/.test(t.content));
  return { all: known.map((t) => t.content), spaced: spaced.map((t) => t.content) };
}

type Part = {
  type?: string;
  use_regex?: boolean;
  pattern?: { Regex?: string; String?: string };
  pretokenizers?: Part[];
  normalizers?: Part[];
} | null;

/** A pre-tokenizer that ends a word at a space: GPT-2's pattern and its kin ("\\p{L}"), or one that splits at every space. */
function endsWords(pre: Part): boolean {
  if (pre?.type === "ByteLevel") return pre.use_regex !== false;
  if (pre?.type === "Split") return /\\p\{L\}/.test(pre.pattern?.Regex ?? "");
  if (pre?.type === "Sequence") return (pre.pretokenizers ?? []).some(endsWords);
  return ["Whitespace", "WhitespaceSplit", "BertPreTokenizer"].includes(pre?.type ?? "");
}

/** Whether a normalizer changes no character because of another far away, so that it does the same with a text and with its pieces. */
function isLocal(normalizer: Part | undefined): boolean {
  if (!normalizer) return true;
  if (normalizer.type === "Sequence") return (normalizer.normalizers ?? []).every(isLocal);
  if (normalizer.type === "Replace") return normalizer.pattern?.String?.length === 1;
  return ["NFC", "NFD", "NFKC", "NFKD", "Prepend", "Lowercase"].includes(normalizer.type ?? "");
}

/** Whether no token reaches over a space: the pre-tokenizer ends words there, or no token of the vocabulary has "▁" or a space after other characters. */
function splitsAtSpaces({ pre_tokenizer, normalizer, model }: Json): boolean {
  const pre = pre_tokenizer as Part;
  if (!isLocal(normalizer as Part)) return false;
  if (pre && endsWords(pre)) return true;
  if (pre && pre.type !== "Metaspace") return false;
  const vocabulary = (model as { vocab?: unknown } | undefined)?.vocab;
  if (typeof vocabulary !== "object" || vocabulary === null) return false;
  const tokens = Array.isArray(vocabulary) ? vocabulary.map((entry) => String(entry?.[0])) : Object.keys(vocabulary);
  return tokens.every((token) => !/[^▁ ][▁ ]/.test(token));
}

/** Whether to drop the space at a cut, tried on the beginning of the text; null where neither way gives the ids of the whole. */
async function stripOf(text: string, encode: Tokenize, added: readonly string[]): Promise<boolean | null> {
  const sample = text.slice(0, 8 * sampleLength);
  const want = (await encode(sample, false)).join();
  for (const strip of [false, true]) {
    const pieces = [...split(sample, sampleLength, strip, added)];
    if (pieces.length > 1 && (await idsOf(pieces, encode)).join() === want) return strip;
  }
  return null;
}

async function idsOf(pieces: readonly string[], encode: Tokenize): Promise<number[]> {
  const ids: number[][] = [];
  for (const piece of pieces) ids.push(await encode(piece, false));
  return ids.flat();
}

const word = /(?<=[^\s]) (?=\p{L})/gu;

/** Cuts at the first single space before a letter once a piece has `length` characters, but not next to an added token. */
function* split(text: string, length: number, strip: boolean, added: readonly string[]): Generator<string> {
  let from = 0;
  while (text.length - from > length) {
    const at = nextCut(text, from + length, added);
    if (at < 0) break;
    yield text.slice(from, at);
    from = strip ? at + 1 : at;
  }
  yield text.slice(from);
}

function nextCut(text: string, from: number, added: readonly string[]): number {
  word.lastIndex = from;
  for (let match = word.exec(text); match; match = word.exec(text)) {
    const at = match.index;
    const besideToken = added.some((token) => text.endsWith(token, at) || text.startsWith(token, at + 1));
    if (!besideToken) return at;
  }
  return -1;
}
