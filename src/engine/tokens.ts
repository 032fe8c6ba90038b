import type { SourceFile } from "../io/types";
import {
  checkTokens,
  cut,
  decodeText,
  documentsOf,
  encodeDocuments,
  first,
  pick,
  type TokenWindows,
  windowsFromNpy,
} from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { openTokenizer } from "../model/tokenizer";

export interface Cutting {
  /** How many windows; null: all. */
  windows: number | null;
  windowLength: number;
  /** Draws the windows, of which there must be enough; null: the first ones, as many as there are (evaluation). */
  seed: number | null;
}

/**
 * A calibration or evaluation file as token windows: .npy holds ids, .jsonl a document a line, anything else is one document.
 * @throws QuantError text-too-short, bad-tokens, bad-json, bad-file, bad-tokenizer, missing-file (tokenizer.json).
 */
export async function loadTokens(
  model: Model,
  file: SourceFile,
  cutting: Cutting,
  pause: () => Promise<void>,
  signal?: AbortSignal,
): Promise<TokenWindows> {
  const bytes = await file.read(0, file.size);
  const all = file.name.toLowerCase().endsWith(".npy")
    ? windowsFromNpy(file.name, bytes, cutting.windowLength)
    : await encodeText(model, file.name, bytes, cutting.windowLength, pause, signal);
  const tokens = cutting.seed === null ? first(all, cutting.windows) : pick(all, cutting.windows, cutting.seed, file.name);
  checkTokens(tokens, model.spec.vocabulary, model.spec.maxPositions, file.name);
  return tokens;
}

async function encodeText(
  model: Model,
  name: string,
  bytes: Uint8Array,
  length: number,
  pause: () => Promise<void>,
  signal?: AbortSignal,
): Promise<TokenWindows> {
  const documents = documentsOf(name, decodeText(name, bytes));
  const encoder = await openTokenizer(model.source);
  return cut(await encodeDocuments(encoder, documents, pause, signal), length, name);
}
