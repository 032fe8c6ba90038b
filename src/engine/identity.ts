import { version } from "../../package.json";
import { sha256, sha256OfText } from "../io/digest";
import type { Calibration, TokenWindows } from "../model/calibration";
import type { Checkpoint } from "../model/checkpoint";
import type { Recipe } from "../recipe/recipe";

/** What a run was asked to do, and to what: two runs with the same identity on the same adapter give the same bytes. */
export interface RunIdentity {
  version: string;
  recipe: Recipe;
  model: { label: string; digest: string };
  /** Null where nothing is calibrated. */
  text: { label: string; digest: string } | null;
  /** Blocks of the model. */
  blocks: number;
}

/** A digest of config.json and of all tensors' names, shapes and places. It reads no tensor's data; `checkInputs` compares that before a run is resumed. */
export async function modelDigest({ shards, config, original }: Checkpoint): Promise<string> {
  if (original) return modelDigest(original);
  const tensors = [...shards.tensors.values()].map(({ name, dtype, shape, start, end, file }) => [
    name,
    dtype,
    shape,
    start,
    end,
    file.name,
    file.size,
  ]);
  return sha256OfText(JSON.stringify([config, tensors]));
}

/** @param blocks of the model. @param text the calibration text's name and windows; null where nothing is calibrated. */
export async function identityOf(
  checkpoint: Checkpoint,
  recipe: Recipe,
  blocks: number,
  text: { label: string; calibration: Calibration } | null,
): Promise<RunIdentity> {
  return {
    version,
    recipe,
    model: { label: checkpoint.source.label, digest: await modelDigest(checkpoint) },
    text: text && { label: text.label, digest: await calibrationDigest(text.calibration) },
    blocks,
  };
}

async function calibrationDigest({ tokens, heldOut }: Calibration): Promise<string> {
  const parts = await Promise.all([tokens, heldOut].map((windows) => (windows ? windowsDigest(windows) : "")));
  return sha256OfText(parts.join());
}

const windowsDigest = async ({ length, ids }: TokenWindows): Promise<string> =>
  `${length} ${await sha256(new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength))}`;

/** Why the first run cannot be continued as the second, one clause per reason. */
export function differences(kept: RunIdentity, wanted: RunIdentity): string[] {
  const found: string[] = [];
  if (kept.version !== wanted.version) found.push(`it was started by version ${kept.version}, this is ${wanted.version}`);
  if (kept.model.digest !== wanted.model.digest) found.push("the checkpoint is a different one");
  if (kept.text?.digest !== wanted.text?.digest) found.push("the calibration windows are different ones");
  const fields = changedFields(kept.recipe, wanted.recipe);
  if (fields.length) found.push(`the recipe differs in ${fields.join(", ")}`);
  return found;
}

/** Paths of the fields that differ: "bits", "qep.alpha". */
function changedFields(a: unknown, b: unknown, path = ""): string[] {
  if (JSON.stringify(a) === JSON.stringify(b)) return [];
  const isGroup = (x: unknown): x is Record<string, unknown> => typeof x === "object" && x !== null && !Array.isArray(x);
  if (!isGroup(a) || !isGroup(b)) return [path];
  const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return keys.flatMap((key) => changedFields(a[key], b[key], path ? `${path}.${key}` : key));
}
