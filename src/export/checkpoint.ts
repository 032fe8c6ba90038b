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
import { EntryBytes } from "./entry-bytes";
import { beyondF16 } from "./range";
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
 * Writes a Hugging Face folder to the sink: headers first, then the tensors front to back, then the small files. What was written is read back before
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
    const entries = entriesOf(model, plan, { replaced: quantized.replaced, wide: new Set() });
    const wide = await beyondF16(entries, model, quantized.beyondF16, plan.recipe, signal);
    await writeTensors(input, wide, listing);
    await writeSmallFiles(input, wide.size > 0, listing, files);
    throwIfCancelled(signal);
    await sink.finish((written) => verifyCheckpoint(written, model, plan, quantized, signal));
  } catch (e) {
    await sink.abort();
    throw e;
  }
  return { files, bytes };
}

async function writeTensors(
  { model, plan, quantized, progress, signal }: ExportInput,
  wide: ReadonlySet<string>,
  sink: Sink,
): Promise<void> {
  const entries = entriesOf(model, plan, { replaced: quantized.replaced, wide });
  const layout = layoutOf(plan, entries);
  const writer = layout.writer(sink);
  const made = new EntryBytes(model, quantized, plan.recipe);
  let done = 0;
  for (const entry of entries)
    for await (const bytes of made.of(entry)) {
      throwIfCancelled(signal);
      await writer.write(entry.spec.name, bytes);
      done += bytes.length;
      progress?.(done, layout.dataBytes);
    }
  await writer.end();
}

async function writeSmallFiles(
  { model, report, evaluations }: ExportInput,
  wide: boolean,
  sink: Sink,
  written: readonly string[],
): Promise<void> {
  const format = formats[report.recipe.format];
  // An unknown architecture may not run in f16, so its own dtype stays.
  await writeFile(sink, "config.json", writeJson(model.spec ? format.config(model.config, report.recipe, wide) : model.config));
  for (const [name, value] of Object.entries(format.files(report.recipe))) await writeFile(sink, name, writeJson(value));
  await writeFile(sink, "recipe.json", writeJson(report.recipe));
  await writeFile(sink, "README.md", new TextEncoder().encode(modelCard(model, report, evaluations)));
  for (const file of sideFiles(model.source, written)) await writeFile(sink, file.name, await file.read(0, file.size));
}
