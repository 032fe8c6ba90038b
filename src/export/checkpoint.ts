import { throwIfCancelled } from "../errors";
import { writeJson } from "../io/json";
import type { Sink } from "../io/types";
import { writeFile } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/coded";
import type { RunPlan } from "../quant/layer-plan";
import type { RunReport } from "../results/report";
import { modelCard, type NamedEvaluation } from "./card";
import { entriesOf, formats, layoutOf } from "./entries";
import type { ExportJob } from "./formats/format";
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
  /** Called with the bytes of tensors written so far and in total. */
  progress?(done: number, total: number): void;
  signal?: AbortSignal;
}

/**
 * Writes a folder to the sink, a Hugging Face one in most formats: headers first, then the tensors front to back, then the small files. What was written is read back before
 * it counts as finished; where anything fails nothing is left. Returns the names and sizes written.
 * @throws QuantError `verify-failed`, and what sink and checkpoint throw.
 */
export async function exportCheckpoint(input: ExportInput): Promise<{ files: string[]; bytes: number }> {
  const files: string[] = [];
  let bytes = 0;
  const { model, plan, quantized, sink, signal } = input;
  const listing: Sink = {
    ...sink,
    create: (name, size) => {
      files.push(name);
      bytes += size;
      return sink.create(name, size);
    },
  };
  try {
    const job = await finishedJob(model, plan, quantized, signal);
    await writeTensors(input, job, listing);
    await writeSmallFiles(input, job, listing, files);
    throwIfCancelled(signal);
    await sink.finish((written) => verifyCheckpoint(written, model, plan, quantized, signal));
  } catch (e) {
    await sink.abort();
    throw e;
  }
  return { files, bytes };
}

async function writeTensors({ model, quantized, progress, signal }: ExportInput, job: ExportJob, sink: Sink): Promise<void> {
  const entries = entriesOf(job);
  const layout = await layoutOf(job, entries);
  const writer = layout.writer(sink);
  const parts = partsOf(model, quantized);
  let done = 0;
  for (const { spec, bytes } of entries)
    for await (const part of bytes(parts)) {
      throwIfCancelled(signal);
      await writer.write(spec.name, part);
      done += part.length;
      progress?.(done, layout.dataBytes);
    }
  await writer.end();
}

async function writeSmallFiles({ model, report, evaluations }: ExportInput, job: ExportJob, sink: Sink, written: readonly string[]) {
  const format = formats[report.recipe.format];
  const files = await format.files(job);
  for (const [name, value] of Object.entries(files)) await writeFile(sink, name, writeJson(value));
  await writeFile(sink, "recipe.json", writeJson(report.recipe));
  await writeFile(sink, "README.md", new TextEncoder().encode(modelCard(model, report, evaluations)));
  for (const file of format.selfContained ? [] : sideFiles(model.source, written))
    await writeFile(sink, file.name, await file.read(0, file.size));
}
