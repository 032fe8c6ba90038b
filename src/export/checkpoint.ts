import { throwIfCancelled } from "../errors";
import { toF16Words } from "../io/dtype";
import { writeJson } from "../io/json";
import { findFile } from "../io/source";
import type { Sink, SourceFile } from "../io/types";
import { CheckpointWriter, layoutShards, writeFile } from "../io/writer";
import type { Checkpoint } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/stored";
import type { Recipe } from "../recipe/recipe";
import type { RunReport } from "../worker/protocol";
import { modelCard, type NamedEvaluation } from "./card";
import { formats, type Piece, pieces } from "./layout";

export interface ExportInput {
  model: Checkpoint;
  quantized: QuantizedModel;
  report: RunReport;
  evaluations: readonly NamedEvaluation[];
  sink: Sink;
  /** Bytes of tensors written so far, of how many. */
  progress?(done: number, total: number): void;
  signal?: AbortSignal;
}

/** Files that clients want and that quantization does not touch. */
const copied = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "tokenizer.model",
  "generation_config.json",
  "chat_template.jinja",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
];
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
    await writeTensors(input, listing);
    await writeSmallFiles(input, listing);
    throwIfCancelled(input.signal);
    await sink.finish();
  } catch (e) {
    await sink.abort();
    throw e;
  }
  return { files, bytes };
}

async function writeTensors({ model, quantized, report, progress, signal }: ExportInput, sink: Sink): Promise<void> {
  const list = pieces(model, report.recipe, quantized.replaced);
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
async function* pieceBytes(
  { spec, part, replaced }: Piece,
  model: Checkpoint,
  quantized: QuantizedModel,
  recipe: Recipe,
): AsyncGenerator<Uint8Array> {
  if (part) {
    yield* formats[recipe.format].bytes(quantized.layers.get(part.name)!)[part.index];
    return;
  }
  if (replaced) {
    yield new Uint8Array(toF16Words(quantized.replaced.get(spec.name)!).buffer);
    return;
  }
  const { file, start, end } = model.shards.tensors.get(spec.name)!;
  // An empty tensor still has to be written once, or the writer would wait for it.
  if (start === end) yield new Uint8Array(0);
  for (let at = start; at < end; at += copyBytes) yield await file.read(at, Math.min(end, at + copyBytes));
}

async function writeSmallFiles({ model, report, evaluations }: ExportInput, sink: Sink): Promise<void> {
  const format = formats[report.recipe.format];
  // An unknown architecture may not stand f16 at run time: its own dtype stays.
  await writeFile(sink, "config.json", writeJson(model.spec ? format.config(model.config, report.recipe) : model.config));
  for (const [name, value] of Object.entries(format.files(report.recipe))) await writeFile(sink, name, writeJson(value));
  for (const file of copied.map((name) => findFile(model.source, name)).filter((f): f is SourceFile => f !== undefined))
    await writeFile(sink, file.name, await file.read(0, file.size));
  await writeFile(sink, "recipe.json", writeJson(report.recipe));
  await writeFile(sink, "README.md", new TextEncoder().encode(modelCard(model, report, evaluations)));
}
