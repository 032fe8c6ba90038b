import { givenAs } from "../errors";
import type { SourceFile } from "../io/types";
import {
  type Calibration,
  checkTokens,
  cutIntoWindows,
  encodeDocuments,
  firstWindows,
  pickWindows,
  type TokenWindows,
  windowsFromNpy,
} from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { type Helper, readDocuments } from "../model/text-file";
import { chatTemplateOf, withTokenizer } from "../model/tokenizer";
import { needsHeldOut, type Recipe } from "../recipe/recipe";

/** How a text to measure on is cut into windows. */
export interface Cutting {
  /** At most this many windows, counting from the first; null: all. */
  windows: number | null;
  windowLength: number;
}

/** A text that a person gave. */
export interface GivenText {
  readonly file: SourceFile;
  /** What people know the text by; the file's name where it is not given. */
  readonly label?: string;
  /** The field that holds the text, where it is not found automatically. */
  readonly field?: string;
}

/** The windows that a run of the open checkpoint was calibrated on. */
export interface WindowsOfRun {
  readonly ofRun: string;
}

/** How a text is read, besides how it is cut. */
export interface Reading {
  signal?: AbortSignal;
  /** The field that holds the text, where a file has several. */
  field?: string;
  /** Needed for Parquet files and conversations, whose reading may take too long, and for tokenizers that may. */
  helper?: Helper;
  /** Called now and then while a text is tokenized, with the ids so far and the most that there can be. */
  progress?(done: number, most: number): void;
}

/**
 * Calibration windows are drawn from a text's first 2^20 tokens (about 4 MB), or from four times the tokens that are asked for where that is more, so that a
 * few windows do not cost tokenizing a whole library.
 */
const drawnFrom = 2 ** 20;
const poolOf = (windows: number, length: number): number => Math.max(drawnFrom, 4 * windows * length);

/**
 * The token windows of a text to measure on: a .npy file holds ids, anything else is read by `readDocuments`.
 * @throws QuantError text-too-short, bad-tokens, bad-text, bad-file, bad-tokenizer, missing-file (tokenizer.json).
 */
export function loadTokens(model: Model, file: SourceFile, cutting: Cutting, reading: Reading = {}): Promise<TokenWindows> {
  const { windows, windowLength } = cutting;
  return givenAs("text", async () => {
    const enough = windows === null ? null : windows * windowLength;
    const tokens = firstWindows(await allWindows(model, file, windowLength, enough, reading), windows);
    checkTokens(tokens, model.spec.vocabulary, model.spec.maxPositions, file.name);
    return tokens;
  });
}

/** The windows that a recipe calibrates on, drawn by its seed, and those that it holds out. @throws as `loadTokens`. */
export function loadCalibration(model: Model, file: SourceFile, recipe: Recipe, reading: Reading = {}): Promise<Calibration> {
  const { windows, windowLength, seed } = recipe.calibration;
  const heldOut = needsHeldOut(recipe) ? recipe.qep.heldOut : 0;
  return givenAs("text", async () => {
    const enough = windows === null ? null : poolOf(windows + heldOut, windowLength);
    const all = await allWindows(model, file, windowLength, enough, reading);
    checkTokens(all, model.spec.vocabulary, model.spec.maxPositions, file.name);
    return pickWindows(all, windows, seed, file.name, heldOut);
  });
}

/** The windows of the text's first `enough` ids at least; null: of all. */
async function allWindows(model: Model, file: SourceFile, length: number, enough: number | null, reading: Reading): Promise<TokenWindows> {
  if (file.name.toLowerCase().endsWith(".npy")) return windowsFromNpy(file.name, await file.read(0, file.size), length);
  const { signal, field, helper, progress } = reading;
  const documents = readDocuments(file, { signal, field, helper, chatTemplate: () => chatTemplateOf(model.source) });
  const most = enough ?? Number.POSITIVE_INFINITY;
  const telling = { name: file.name, signal, progress: (done: number) => progress?.(done, most) };
  const ids = await withTokenizer(model.source, helper, (encoder) => encodeDocuments(encoder, documents, most, telling));
  return cutIntoWindows(ids, length, file.name);
}
