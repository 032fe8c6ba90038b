import { throwIfCancelled } from "../errors";
import { hashingSink, plainHasher, type StartHasher } from "../io/hasher";
import { writeJson } from "../io/json";
import type { Sink, SourceFile } from "../io/types";
import { writeFile } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/coded";
import type { RunPlan } from "../quant/layer-plan";
import { withoutIdle } from "../recipe/access";
import type { Certificate, FileDigest } from "../results/certificate";
import type { RunReport } from "../results/report";
import { modelCard, type NamedEvaluation } from "./card";
import { certificateName, certificateOf, digestInputs, inputFiles, requireSame } from "./certificate";
import type { Layout } from "./containers/container";
import { entriesOf, formats, layoutOf } from "./entries";
import type { Entry, ExportJob } from "./formats/format";
import { partsOf } from "./parts";
import { finishedJob } from "./range";
import { sideFiles } from "./side-files";
import { verifyCheckpoint } from "./verify";

export interface ExportInput {
  model: Checkpoint;
  plan: RunPlan;
  quantized: QuantizedModel;
  report: RunReport;
  evaluations: readonly NamedEvaluation[];
  sink: Sink;
  /** SHA-256 of the calibration's token windows; null where nothing was calibrated. */
  calibration?: string | null;
  /** Hashes what is written; in this thread unless it is given. */
  startHasher?: StartHasher;
  /** The inputs' digests, where somebody has begun to make them; they are made here otherwise. */
  inputs?: InputDigests;
  /** Called with the bytes done so far and in total: each tensor is written and read back, each input is read. */
  progress?(done: number, total: number, where: string): void;
  signal?: AbortSignal;
}

/** @param read is called with the bytes of each piece that is read. @throws QuantError `cancelled`, and what reading throws. */
export type InputDigests = (read: (bytes: number) => void, signal?: AbortSignal) => Promise<readonly FileDigest[]>;

/** What was written. */
export interface Exported {
  /** Names of all files. */
  files: string[];
  bytes: number;
  certificate: Certificate;
}

/**
 * Writes a folder to the sink, a Hugging Face one in most formats: headers first, then the tensors front to back, then the small files, the certificate last.
 * What was written is read back before it counts as finished; where anything fails nothing is left.
 * @throws QuantError `verify-failed`, and what sink and checkpoint throw.
 */
export async function exportCheckpoint(input: ExportInput): Promise<Exported> {
  const files: FileDigest[] = [];
  const { model, plan, quantized, sink, signal, startHasher = plainHasher } = input;
  const hashed = hashingSink(sink, startHasher, (file) => files.push(file));
  try {
    const job = await finishedJob(model, plan, quantized, signal);
    const entries = entriesOf(job);
    const layout = await layoutOf(job, entries);
    await sink.prepare(layout.fileBytes + copiedFiles(input, []).reduce((sum, { size }) => sum + size, 0));
    const count = counter(input, layout.dataBytes);
    await writeTensors(input, entries, layout, hashed, (bytes) => count(bytes, "writing"));
    const readBack = { tensors: entries.length, bytes: layout.dataBytes };
    const certificate = await writeSmallFiles(input, job, hashed, files, { readBack, read: (bytes) => count(bytes, "hashing the source") });
    throwIfCancelled(signal);
    await sink.finish(async (written) =>
      requireSame(certificate, await verifyCheckpoint(written, model, plan, quantized, signal, (bytes) => count(bytes, "reading back"))),
    );
    return { files: files.map(({ name }) => name), bytes: files.reduce((sum, { bytes }) => sum + bytes, 0), certificate };
  } catch (e) {
    await hashed.abort();
    throw e;
  }
}

/** Counts the bytes of all three parts. */
function counter({ model, progress }: ExportInput, dataBytes: number): (bytes: number, where: string) => void {
  const total = inputFiles(model).reduce((sum, { size }) => sum + size, 2 * dataBytes);
  let done = 0;
  return (bytes, where) => {
    done += bytes;
    progress?.(done, total, where);
  };
}

async function writeTensors(
  { model, quantized, signal }: ExportInput,
  entries: readonly Entry[],
  layout: Layout,
  sink: Sink,
  written: (bytes: number) => void,
): Promise<void> {
  const writer = layout.writer(sink);
  const parts = partsOf(model, quantized);
  for (const { spec, bytes } of entries)
    for await (const part of bytes(parts)) {
      throwIfCancelled(signal);
      await writer.write(spec.name, part);
      written(part.length);
    }
  await writer.end();
}

/** What the certificate says beside the files. */
interface Statement {
  readBack: Certificate["readBack"];
  /** Called with the bytes of each piece of the inputs. */
  read(bytes: number): void;
}

/** @param files those that were written so far; each new one is added when it is closed. */
async function writeSmallFiles(
  input: ExportInput,
  job: ExportJob,
  sink: Sink,
  files: readonly FileDigest[],
  { readBack, read }: Statement,
): Promise<Certificate> {
  const { model, report, evaluations, calibration = null, startHasher = plainHasher, signal } = input;
  const inputs = input.inputs ?? ((heard, s) => digestInputs(model, startHasher, heard, s));
  const format = formats[report.recipe.format];
  const made = await format.files(job);
  for (const [name, value] of Object.entries(made)) await writeFile(sink, name, writeJson(value));
  // Without what has no effect: the page keeps fields that are hidden, and the same run from the command line has never heard of them.
  const recipe = withoutIdle(report.recipe);
  await writeFile(sink, "recipe.json", writeJson(recipe));
  const own = [...files.map(({ name }) => name), cardName, certificateName];
  for (const file of copiedFiles(input, own)) await writeFile(sink, file.name, await file.read(0, file.size));
  const certificate = certificateOf({ recipe, calibration, source: await inputs(read, signal), written: files, readBack });
  await writeFile(sink, cardName, new TextEncoder().encode(modelCard(model, report, evaluations, certificate)));
  await writeFile(sink, certificateName, writeJson(certificate));
  return certificate;
}

/** @param own what the export writes itself. */
const copiedFiles = ({ model, plan }: ExportInput, own: readonly string[]): SourceFile[] =>
  formats[plan.recipe.format].selfContained ? [] : sideFiles(model.source, own);

const cardName = "README.md";
