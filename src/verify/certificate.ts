/** Whether files are those that their certificate.json names. */
import { certificateName } from "../export/certificate";
import { type StartHasher, sha256OfFile } from "../io/hasher";
import { readJson } from "../io/json";
import { findFile } from "../io/source";
import type { FileDigest } from "../results/certificate";
import type { CheckJob } from "./job";

const weights = /\.(safetensors|gguf|onnx)$|_data(_\d+)?$/;
const mostBytes = 2 ** 22;

/** The digests of certificate.json whose files are to be read, counted as work to do; null, with a finding unless there is none, where it names none. */
export async function openCertificate(job: CheckJob): Promise<readonly FileDigest[] | null> {
  const { source, findings } = job;
  const file = findFile(source, certificateName);
  if (!file) return null;
  try {
    const named = namedIn(await readJson(file, mostBytes));
    if (!named) findings.add("error", "certificate", "It is no certificate of an export.", certificateName);
    for (const { name } of named ?? []) job.total += findFile(source, name)?.size ?? 0;
    // Weights are read once more, to be checked.
    job.least = source.files.reduce((sum, { name, size }) => sum + (weights.test(name) ? size : 0), job.total);
    return named;
  } catch (cause) {
    findings.failed(cause, certificateName, "certificate");
    return null;
  }
}

/** Reads and hashes the files that are named. Returns whether they are all there, and all weights are among them. */
export async function checkDigests(job: CheckJob, named: readonly FileDigest[], start: StartHasher): Promise<boolean> {
  const { source, findings } = job;
  let same = 0;
  for (const digest of named) {
    if (!findFile(source, digest.name))
      findings.join("warning", "missing-file", "Files that certificate.json names are not here.", digest.name);
    else if (await isSame(job, digest, start)) same++;
  }
  const isNamed = new Set(named.map(({ name }) => name));
  const strange = source.files.filter(({ name }) => weights.test(name) && !isNamed.has(name));
  for (const { name } of strange) findings.join("warning", "certificate", unnamed, name);
  if (same !== named.length) return false;
  findings.add("ok", "certificate", `The SHA-256 of all ${same} files are those of certificate.json.`);
  return strange.length === 0;
}

const unnamed =
  "There are weights that certificate.json does not name: nothing tells where they are from. Take away what is not the export's.";

async function isSame(job: CheckJob, { name, bytes, sha256 }: FileDigest, start: StartHasher): Promise<boolean> {
  const file = findFile(job.source, name)!;
  const read = (n: number) => job.read(n, name);
  const found = file.size === bytes ? await sha256OfFile(file, start, read, job.signal) : null;
  if (found === sha256) return true;
  if (weights.test(name)) job.findings.join("error", "certificate", "Weights are not those that certificate.json names.", name);
  else job.findings.join("warning", "certificate", "Files were changed since certificate.json was written.", name);
  return false;
}

/** The digests of a file that a stranger may have written; null where it has none: an empty list vouches for nothing. */
function namedIn(json: unknown): FileDigest[] | null {
  const { written } = Object(json) as { written?: unknown };
  const isDigest = (x: unknown): x is FileDigest => {
    const { name, bytes, sha256 } = Object(x) as Record<string, unknown>;
    return typeof name === "string" && typeof bytes === "number" && typeof sha256 === "string";
  };
  return Array.isArray(written) && written.length && written.every(isDigest) ? written : null;
}
