import { QuantError, throwIfCancelled } from "../errors";
import { parseNpy } from "../io/npy";
import { shown } from "../io/text";
import { letEventsIn } from "../io/turn";
import type { Document } from "./documents";
import { mulberry32, permutation } from "./random";
import type { Encoder } from "./tokenizer";

/** Token ids in windows of one length: row-major [windows, length]. */
export interface TokenWindows {
  readonly length: number;
  readonly windows: number;
  readonly ids: Int32Array;
}

/** What a run is calibrated on. */
export interface Calibration {
  readonly tokens: TokenWindows;
  /** Windows of the same text and length that go through the network too, but into no statistics: α is chosen on them. */
  readonly heldOut: TokenWindows | null;
}

const eventsEveryMs = 30;

/**
 * Tokenizes the documents one after the other, until there are `most` ids or more; the last piece is kept whole. A long document comes in pieces.
 * @throws QuantError `text-too-short` where there is no text at all, `cancelled`.
 */
export async function encodeDocuments(
  encoder: Encoder,
  documents: AsyncIterable<Document>,
  most: number,
  { name, signal, progress }: { name: string; signal?: AbortSignal; progress?(ids: number): void },
): Promise<Int32Array> {
  let ids = new Int32Array(4096);
  let count = 0;
  let isBlank = true;
  let last = performance.now();
  for await (const document of documents) {
    isBlank &&= !document.text.trim();
    for await (const piece of encoder.pieces(document)) {
      if (count + piece.length > ids.length) ids = grown(ids, count + piece.length);
      ids.set(piece, count);
      count += piece.length;
      if (performance.now() - last > eventsEveryMs) {
        progress?.(count);
        await letEventsIn();
        last = performance.now();
      }
      throwIfCancelled(signal);
      if (count >= most) break;
    }
    if (count >= most) break;
  }
  if (isBlank) throw new QuantError("text-too-short", `${shown(name)} holds no text`, "Give a longer text.");
  return ids.slice(0, count);
}

function grown(ids: Int32Array<ArrayBuffer>, size: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(size, 2 * ids.length));
  larger.set(ids);
  return larger;
}

/** Cuts ids into consecutive windows; a rest that does not fill one is dropped. @throws QuantError `text-too-short` with both counts. */
export function cutIntoWindows(ids: Int32Array, length: number, name: string): TokenWindows {
  const windows = Math.floor(ids.length / length);
  if (windows === 0)
    throw new QuantError(
      "text-too-short",
      `${name} has ${ids.length} tokens, but one window needs ${length}`,
      "Give a longer text or a shorter window length.",
    );
  return { length, windows, ids: ids.subarray(0, windows * length) };
}

/** Windows of token ids from a .npy file: the rows of a 2-D array, whatever `length` says; a 1-D array is cut into windows of `length`. */
export function windowsFromNpy(name: string, bytes: Uint8Array, length: number): TokenWindows {
  const { shape, data } = parseNpy(bytes, name);
  return cutIntoWindows(data, shape.length === 2 ? shape[1] : length, name);
}

/**
 * Draws `count` windows by the seed, without repetition, and `held` others to hold out, each lot in the text's order. A count of null takes all that are
 * not held out; with any other, holding some out does not change which are drawn. @throws QuantError `text-too-short`.
 */
export function pickWindows(all: TokenWindows, count: number | null, seed: number, name: string, held = 0): Calibration {
  const asked = (count ?? 1) + held;
  if (asked > all.windows)
    throw new QuantError(
      "text-too-short",
      `${name} gives ${all.windows} windows of ${all.length} tokens, but ${asked} are asked for${held ? ` (${held} of them held out)` : ""}`,
      "Give a longer text, fewer windows or shorter ones.",
    );
  const wanted = count ?? all.windows - held;
  const drawn = permutation(all.windows, mulberry32(seed));
  const tokens = wanted === all.windows ? all : windowsAt(all, drawn.slice(0, wanted));
  return { tokens, heldOut: held ? windowsAt(all, drawn.slice(wanted, wanted + held)) : null };
}

/** The windows of these numbers, in the text's order. */
function windowsAt(all: TokenWindows, numbers: readonly number[]): TokenWindows {
  const ids = new Int32Array(numbers.length * all.length);
  const inOrder = [...numbers].sort((a, b) => a - b);
  for (const [i, w] of inOrder.entries()) ids.set(all.ids.subarray(w * all.length, (w + 1) * all.length), i * all.length);
  return { length: all.length, windows: numbers.length, ids };
}

/** The first `count` windows, or all of them where there are fewer. */
export function firstWindows(all: TokenWindows, count: number | null): TokenWindows {
  const windows = Math.min(count ?? all.windows, all.windows);
  return { length: all.length, windows, ids: all.ids.subarray(0, windows * all.length) };
}

/** @throws QuantError `bad-tokens` when an id is outside the vocabulary, or windows are longer than the model's positions. */
export function checkTokens(tokens: TokenWindows, vocabulary: number, maxPositions: number, name: string): void {
  if (tokens.length < 2)
    throw new QuantError("bad-tokens", `${name} has windows of ${tokens.length} token`, "A window needs at least two tokens.");
  if (tokens.length > maxPositions)
    throw new QuantError(
      "bad-tokens",
      `${name} has windows of ${tokens.length} tokens, but the model knows only ${maxPositions} positions`,
      "Use a shorter window length.",
    );
  const bad = tokens.ids.findIndex((id) => id < 0 || id >= vocabulary);
  if (bad >= 0)
    throw new QuantError(
      "bad-tokens",
      `${name} holds id ${tokens.ids[bad]} at position ${bad}, but the vocabulary has only ${vocabulary}`,
      "Use this model's own tokenizer.",
    );
}
