/** Checks a checkpoint that somebody wrote: ours or anybody's, a folder or a file, by itself or beside the original. */
import { plainHasher, type StartHasher } from "../io/hasher";
import { shown } from "../io/text";
import type { Source } from "../io/types";
import { type Checkpoint, runnable } from "../model/checkpoint";
import { rotateModel } from "../model/rotated";
import type { Recipe } from "../recipe/recipe";
import type { ComparedLayer, Finding, Verification } from "../results/verification";
import { checkDigests, openCertificate } from "./certificate";
import { checkFolder } from "./folder/folder";
import { checkGguf } from "./gguf/gguf";
import { CheckJob } from "./job";
import { checkOnnx } from "./onnx/onnx";
import { movesOf, recipeIn, recipeName } from "./said";

export interface CheckOptions {
  /** The original that the file is compared with. */
  original?: Checkpoint | null;
  /** Bytes that have been read, and will be in all. */
  progress?(done: number, total: number, where: string): void;
  /** Hashes the files where a certificate.json names digests; in this thread unless it is given. */
  startHasher?: StartHasher;
  signal?: AbortSignal;
}

/**
 * Opens the files, checks headers, config, tokenizer and every value, and compares the network and every tensor with the original's. Reads a few megabytes, or one
 * packed layer, at a time. What is wrong with the files is a finding and not an error.
 * @throws QuantError `cancelled`, `file-changed`, and about the original.
 */
export async function checkSource(
  source: Source,
  { original = null, progress = () => {}, startHasher = plainHasher, signal }: CheckOptions = {},
): Promise<Verification> {
  const recipe = await recipeIn(source);
  const job = new CheckJob(source, original && (await asRotated(original, recipe)), progress, signal, tableType(recipe));
  const certificate = await openCertificate(job);
  const hashed = job.total;
  // First, because files that are as a run wrote them are looked at in the light of its recipe.
  const isWhole = certificate !== null && (await checkDigests(job, certificate, startHasher));
  if (isWhole && recipe && certificate.some(({ name }) => name === recipeName)) job.moves = movesOf(recipe);
  try {
    await checkerFor(source)(job);
  } catch (cause) {
    job.findings.failed(cause, source.label);
  }
  const { findings, layers, title, tensors, total } = job;
  const whole = `${tensors.toLocaleString("en")} tensors were read: they are whole, and their values are finite.`;
  const conclusion: Finding[] = findings.passed ? [{ level: "ok", code: "values", message: whole, where: "" }] : [];
  return {
    label: shown(source.label),
    title,
    tensors,
    bytes: total - hashed,
    findings: [...certificateLast(findings.list), ...conclusion],
    layers: original && inOrder(layers, original),
    against: original && shown(original.source.label),
    passed: findings.passed,
  };
}

/** What is wrong with files tells more than that they are not those of the run. */
const certificateLast = (list: readonly Finding[]): Finding[] =>
  [false, true].flatMap((isLast) => list.filter(({ code }) => (code === "certificate") === isLast));

/** Block after block, whatever their order in the file. */
function inOrder(layers: readonly ComparedLayer[], original: Checkpoint): ComparedLayer[] {
  const places = new Map(original.layers.map(({ name }, at) => [name, at]));
  return layers.toSorted((a, b) => (places.get(a.name) ?? 0) - (places.get(b.name) ?? 0));
}

function checkerFor({ files }: Source): (job: CheckJob) => Promise<void> {
  const has = (pattern: RegExp) => files.some(({ name }) => pattern.test(name));
  if (has(/\.safetensors$/)) return checkFolder;
  if (has(/\.gguf$/i)) return checkGguf;
  if (has(/\.onnx$/)) return checkOnnx;
  return checkFolder;
}

/** The original in the basis that the file is in. */
const asRotated = async (original: Checkpoint, recipe: Recipe | null): Promise<Checkpoint> =>
  original.spec && recipe && recipe.rotation !== null ? rotateModel(runnable(original), recipe.rotation) : original;

/** The type or mix to which embeddings and head may be rounded, though they are stored as floats. */
const tableType = (recipe: Recipe | null): string | null => (recipe && recipe.type !== "none" ? recipe.type : null);
