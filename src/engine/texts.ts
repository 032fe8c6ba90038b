import type { SourceFile } from "../io/types";
import type { Calibration, TokenWindows } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import { needsHeldOut, type Recipe } from "../recipe/recipe";
import { type Cutting, loadCalibration, loadTokens, type Reading } from "./tokens";

/** Texts tokenized for the open model, each once for every way of cutting it: the page asks for a plan at every change of the recipe. */
export class Texts {
  private readonly known = new Map<string, unknown>();

  tokens(model: Model, file: SourceFile, cutting: Cutting, reading: Reading): Promise<TokenWindows> {
    return this.once(file, [cutting, reading.field], () => loadTokens(model, file, cutting, reading));
  }

  calibration(model: Model, file: SourceFile, recipe: Recipe, reading: Reading): Promise<Calibration> {
    const held = needsHeldOut(recipe) && recipe.qep.heldOut;
    return this.once(file, [recipe.calibration, held, reading.field], () => loadCalibration(model, file, recipe, reading));
  }

  clear(): void {
    this.known.clear();
  }

  private async once<T>(file: SourceFile, cut: unknown[], load: () => Promise<T>): Promise<T> {
    const key = JSON.stringify([file.name, file.size, file.version ?? quickHash(await file.read(0, file.size)), ...cut]);
    const known = this.known.get(key) as T | undefined;
    if (known) return known;
    const loaded = await load();
    this.known.set(key, loaded);
    return loaded;
  }
}

/** Equal for the same windows. */
export const windowsKey = ({ length, ids }: TokenWindows): string =>
  `${length}:${quickHash(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength))}`;

/** The length and two 32-bit hashes in the manner of FNV-1a: enough to tell texts apart, but not cryptographic. */
export function quickHash(bytes: Uint8Array): string {
  let a = 0x811c9dc5;
  let b = 0x1000193;
  for (const byte of bytes) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b ^ byte, 0x85ebca6b);
  }
  return `${bytes.length}:${(a >>> 0).toString(16)}${(b >>> 0).toString(16)}`;
}
