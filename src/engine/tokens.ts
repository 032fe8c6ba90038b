import type { SourceFile } from "../io/types";
import {
  type Calibration,
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
import { needsHeldOut, type Recipe } from "../recipe/recipe";

export interface Cutting {
  /** How many windows; null: all. */
  windows: number | null;
  windowLength: number;
  /** Draws the windows, of which there must be enough; null: the first ones, as many as there are. */
  seed: number | null;
  /** Windows that a run calibrated so kept out: they are left out here too. */
  heldOut?: number;
}

type Pause = () => Promise<void>;

/**
 * A text to measure on as token windows: .npy holds ids, .jsonl a document a line, anything else is one document.
 * @throws QuantError text-too-short, bad-tokens, bad-json, bad-file, bad-tokenizer, missing-file (tokenizer.json).
 */
export async function loadTokens(
  model: Model,
  file: SourceFile,
  cutting: Cutting,
  pause: Pause,
  signal?: AbortSignal,
): Promise<TokenWindows> {
  const { windows, windowLength, seed, heldOut } = cutting;
  const all = await allWindows(model, file, windowLength, pause, signal);
  const tokens = seed === null ? first(all, windows) : pick(all, windows, seed, file.name, heldOut).tokens;
  checkTokens(tokens, model.spec.vocabulary, model.spec.maxPositions, file.name);
  return tokens;
}

/** The windows that a recipe calibrates on, drawn by its seed, and those that it holds out. @throws as `loadTokens`. */
export async function loadCalibration(
  model: Model,
  file: SourceFile,
  recipe: Recipe,
  pause: Pause,
  signal?: AbortSignal,
): Promise<Calibration> {
  const { windows, windowLength, seed } = recipe.calibration;
  const all = await allWindows(model, file, windowLength, pause, signal);
  checkTokens(all, model.spec.vocabulary, model.spec.maxPositions, file.name);
  return pick(all, windows, seed, file.name, needsHeldOut(recipe) ? recipe.qep.heldOut : 0);
}

async function allWindows(model: Model, file: SourceFile, length: number, pause: Pause, signal?: AbortSignal): Promise<TokenWindows> {
  const bytes = await file.read(0, file.size);
  return file.name.toLowerCase().endsWith(".npy")
    ? windowsFromNpy(file.name, bytes, length)
    : encodeText(model, file.name, bytes, length, pause, signal);
}

async function encodeText(
  model: Model,
  name: string,
  bytes: Uint8Array,
  length: number,
  pause: Pause,
  signal?: AbortSignal,
): Promise<TokenWindows> {
  const documents = documentsOf(name, decodeText(name, bytes));
  const encoder = await openTokenizer(model.source);
  return cut(await encodeDocuments(encoder, documents, pause, signal), length, name);
}
