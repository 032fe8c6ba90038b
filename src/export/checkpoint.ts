import { throwIfCancelled } from "../errors";
import { toF16Words } from "../io/dtype";
import { writeJson } from "../io/json";
import type { Sink } from "../io/types";
import { CheckpointWriter, layoutShards, writeFile } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/stored";
import type { Recipe } from "../recipe/recipe";
import type { RunReport } from "../results/report";
import { modelCard, type NamedEvaluation } from "./card";
import { formats, type Piece, pieces } from "./layout";
import { beyondF16 } from "./range";
import { sideFiles } from "./side-files";

export interface ExportInput {
  model: Checkpoint;
  quantized: QuantizedModel;
  report: RunReport;
  evaluations: readonly NamedEvaluation[];
  sink: Sink;
  /** Looks at what was written, before it counts as finished. What it throws undoes the export. */
  check?(): Promise<void>;
  /** Bytes of tensors written so far, of how many. */
  progress?(done: number, total: number): void;
  signal?: AbortSignal;
}

const maxShardBytes = 4e9;
const copyBytes = 8 * 2 ** 20;

/**
 * Writes a Hugging Face folder to the sink: headers first, then the tensors front to back, then the small files; finishes the sink, or
 * aborts it when anything fails. Returns the names and sizes written.
 */
export async function exportCheckpoint(input: ExportInput): Promise<{ files: string[]; bytes: number }> {
  const files: string[] = [];
  let bytes = 0;
  const { sink } = input;
  const listing: Sink = {
    ...sink,
    create: (name, size) => {
      files.push(name);
      bytes += size;
      return sink.create(name, size);
    },
  };
  try {
    const { model, quantized, report, signal } = input;
    const wide = await beyondF16(pieces(model, report.recipe, { ...quantized, wide: new Set() }), model, quantized, report.recipe, signal);
    await writeTensors(input, wide, listing);
    await writeSmallFiles(input, wide.size > 0, listing, files);
    await input.check?.();
    throwIfCancelled(input.signal);
    await sink.finish();
  } catch (e) {
    await sink.abort();
    throw e;
  }
  return { files, bytes };
}

async function writeTensors(
  { model, quantized, report, progress, signal }: ExportInput,
  wide: ReadonlySet<string>,
  sink: Sink,
): Promise<void> {
  const list = pieces(model, report.recipe, { ...quantized, wide });
  const layout = layoutShards(
    list.map((p) => p.spec),
    maxShardBytes,
  );
  const writer = new CheckpointWriter(layout, sink);
  let done = 0;
  for (const piece of list)
    for await (const bytes of pieceBytes(piece, model, quantized, report.recipe)) {
      throwIfCancelled(signal);
      await writer.write(piece.spec.name, bytes);
      done += bytes.length;
      progress?.(done, layout.totalSize);
    }
  await writer.end();
}

/** A layer's tensor, packed now; or a tensor of the source as it stands there, a few megabytes at a time. */
export async function* pieceBytes(
  { spec, part, replaced, wide = false }: Piece,
  model: Checkpoint,
  quantized: QuantizedModel,
  recipe: Recipe,
): AsyncGenerator<Uint8Array> {
  if (part) {
    yield* formats[recipe.format].bytes(quantized.layers.get(part.name)!, wide)[part.index];
    return;
  }
  if (replaced) {
    const values = quantized.replaced.get(spec.name)!;
    yield new Uint8Array(wide ? values.slice().buffer : toF16Words(values).buffer);
    return;
  }
  const { file, start, end } = model.shards.tensors.get(spec.name)!;
  // An empty tensor still has to be written once, or the writer would wait for it.
  if (start === end) yield new Uint8Array(0);
  for (let at = start; at < end; at += copyBytes) yield await file.read(at, Math.min(end, at + copyBytes));
}

async function writeSmallFiles(
  { model, report, evaluations }: ExportInput,
  wide: boolean,
  sink: Sink,
  written: readonly string[],
): Promise<void> {
  const format = formats[report.recipe.format];
  // An unknown architecture may not stand f16 at run time: its own dtype stays.
  await writeFile(sink, "config.json", writeJson(model.spec ? format.config(model.config, report.recipe, wide) : model.config));
  for (const [name, value] of Object.entries(format.files(report.recipe))) await writeFile(sink, name, writeJson(value));
  await writeFile(sink, "recipe.json", writeJson(report.recipe));
  await writeFile(sink, "README.md", new TextEncoder().encode(modelCard(model, report, evaluations)));
  for (const file of sideFiles(model.source, written)) await writeFile(sink, file.name, await file.read(0, file.size));
}
