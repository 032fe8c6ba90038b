/**
 * SentencePiece's own tokenizer.model, a protobuf (sentencepiece_model.proto: ModelProto). Of its fields only these are read: pieces (1: piece, score, type),
 * trainer_spec (2: model_type, byte_fallback), normalizer_spec (3: add_dummy_prefix, precompiled_charsmap).
 */
import { QuantError } from "../../../errors";
import { type Field, fieldsOf } from "../../../io/protobuf";
import { byteToken } from "./sentence-piece";
import { type AddedToken, tokensOf, tokenTypes, unusable, type Vocabulary } from "./tokens";

/** SentencePiece's numbers of kinds of pieces are llama.cpp's. */
const known: readonly number[] = Object.values(tokenTypes);
const bpe = 2n;

const broken = () => unusable("tokenizer.model is no SentencePiece model");

interface Piece {
  text: string;
  score: number;
  type: number;
}

function pieceOf(bytes: Uint8Array): Piece {
  const piece: Piece = { text: "", score: 0, type: tokenTypes.normal };
  for (const { field: number, value } of fieldsOf(bytes)) {
    if (number === 1 && value instanceof Uint8Array) piece.text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(value);
    if (number === 2 && value instanceof Uint8Array && value.length === 4)
      piece.score = new DataView(value.buffer, value.byteOffset).getFloat32(0, true);
    if (number === 3 && typeof value === "bigint") piece.type = Number(value);
  }
  if (!known.includes(piece.type) || !Number.isFinite(piece.score)) throw broken();
  return piece;
}

/** The last value of a field, as protobuf reads it. */
function fieldOf(message: Uint8Array, wanted: number, fallback: Field["value"]): Field["value"] {
  let last = fallback;
  for (const { field, value } of fieldsOf(message)) if (field === wanted) last = value;
  return last;
}

/** The vocabulary of a tokenizer.model, and of the tokens added to it. @throws QuantError `bad-format`. */
export function pieceModel(bytes: Uint8Array, added: readonly AddedToken[], size: number): Vocabulary {
  try {
    return readModel(bytes, added, size);
  } catch (e) {
    // What protobuf says of a message does not say what to do here.
    throw e instanceof QuantError && e.code === "bad-file" ? broken() : e;
  }
}

function readModel(bytes: Uint8Array, added: readonly AddedToken[], size: number): Vocabulary {
  const pieces: Piece[] = [];
  let [trainer, normalizer] = [new Uint8Array(0), new Uint8Array(0)];
  for (const { field: number, value } of fieldsOf(bytes)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === 1) pieces.push(pieceOf(value));
    if (number === 2) trainer = value as Uint8Array<ArrayBuffer>;
    if (number === 3) normalizer = value as Uint8Array<ArrayBuffer>;
  }
  if (!pieces.length) throw broken();
  if (fieldOf(trainer, 3, 1n) !== bpe)
    throw unusable("tokenizer.model is not of SentencePiece's type BPE, the only one that is known here");
  const charsmap = fieldOf(normalizer, 2, new Uint8Array(0));
  if (charsmap instanceof Uint8Array && charsmap.length) throw unusable("tokenizer.model changes texts in a way that llama.cpp does not");
  const types = new Map(pieces.map(({ text, type }) => [text, byteToken.test(text) ? tokenTypes.byte : type]));
  const tokens = tokensOf(
    pieces.map(({ text }, id) => [text, id] as const),
    added,
    size,
    (text) => types.get(text)!,
  );
  const scores = Float32Array.from({ length: size }, (_, id) => pieces[id]?.score ?? 0);
  return { model: "llama", tokens, scores, addSpacePrefix: fieldOf(normalizer, 3, 1n) === 1n };
}
