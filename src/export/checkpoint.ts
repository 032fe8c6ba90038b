import { throwIfCancelled } from "../errors";
import { findFile } from "../io/source";
import type { Sink, SourceFile } from "../io/types";
import { CheckpointWriter, layoutShards, writeFile } from "../io/writer";
import type { Model } from "../model/checkpoint";
import type { QuantizedModel } from "../quant/stored";
import type { Evaluation, RunReport } from "../worker/protocol";
import { modelCard } from "./card";
import { formats, type Piece, pieces } from "./layout";

export interface ExportInput {
  model: Model;
  quantized: QuantizedModel;
  report: RunReport;
  evaluation: Evaluation | null;
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
const pieceBytes = 8 * 2 ** 20;

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
  const list = pieces(model, quantized, report.recipe.format);
  const layout = layoutShards(
    list.map((p) => p.spec),
    maxShardBytes,
  );
  const writer = new CheckpointWriter(layout, sink);
  let done = 0;
  for await (const { name, bytes } of tensorBytes(list, model, report)) {
    throwIfCancelled(signal);
    await writer.write(name, bytes);
    done += bytes.length;
    progress?.(done, layout.totalSize);
  }
  await writer.end();
}

async function* tensorBytes(list: readonly Piece[], model: Model, report: RunReport): AsyncGenerator<{ name: string; bytes: Uint8Array }> {
  const format = formats[report.recipe.format];
  for (let i = 0; i < list.length; ) {
    const { spec, layer } = list[i];
    if (layer) {
      const parts = format.bytes(layer);
      for (const [k, part] of parts.entries()) for (const bytes of part) yield { name: list[i + k].spec.name, bytes };
      i += parts.length;
    } else {
      for await (const bytes of copyTensor(model, spec.name)) yield { name: spec.name, bytes };
      i++;
    }
  }
}

/** A tensor's bytes as they stand in the source, a few megabytes at a time. */
async function* copyTensor(model: Model, name: string): AsyncGenerator<Uint8Array> {
  const { file, start, end } = model.shards.tensors.get(name)!;
  // An empty tensor still has to be written once, or the writer would wait for it.
  if (start === end) yield new Uint8Array(0);
  for (let at = start; at < end; at += pieceBytes) yield await file.read(at, Math.min(end, at + pieceBytes));
}

async function writeSmallFiles({ model, report, evaluation }: ExportInput, sink: Sink): Promise<void> {
  const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
  await writeFile(sink, "config.json", json(formats[report.recipe.format].config(model.config)));
  for (const file of copied.map((name) => findFile(model.source, name)).filter((f): f is SourceFile => f !== undefined))
    await writeFile(sink, file.name, await file.read(0, file.size));
  await writeFile(sink, "recipe.json", json(report.recipe));
  await writeFile(sink, "README.md", new TextEncoder().encode(modelCard(model, report, evaluation)));
}
