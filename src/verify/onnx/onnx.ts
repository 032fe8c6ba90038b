/** An ONNX graph with its weights in files beside it, as we write it and transformers.js loads it. */
import { isWeight } from "../../export/formats/format";
import { mostGraphBytes, nodesOf, type PlacedTensor, placedTensors } from "../../export/onnx/proto";
import { findNonFinite, tensorBytes } from "../../io/dtype";
import { shown } from "../../io/text";
import type { SourceFile } from "../../io/types";
import type { Open } from "../../reopen/onnx/matmul-nbits";
import { checkTokenizerFiles } from "../folder/files";
import type { CheckJob } from "../job";
import { compareGraph } from "./compare";

const pieceBytes = 8 * 2 ** 20;

export async function checkOnnx(job: CheckJob): Promise<void> {
  const { findings, source } = job;
  const graphs = source.files.filter(({ name }) => /\.onnx$/.test(name));
  const [graph] = graphs;
  job.title = "ONNX";
  if (graphs.length > 1)
    findings.add("warning", "opened", "There are several graphs; the first one is checked.", graphs.map(({ name }) => name).join(", "));
  if (graph.size > mostGraphBytes)
    return findings.add(
      "error",
      "unreadable",
      `The graph holds weights itself (${graph.size} bytes): only weights in files beside it are read.`,
      graph.name,
    );
  const model = await graph.read(0, graph.size);
  const tensors = placedTensors(model);
  job.tensors = tensors.length;
  if (!tensors.length) return findings.add("error", "unreadable", "The graph names no weights in files beside it.", graph.name);
  for (const { bytes } of tensors) job.total += Number.isSafeInteger(bytes) ? bytes : 0;
  const open = opener(job, graph.name);
  const sound = tensors.filter((tensor) => checkPlace(job, tensor, open));
  checkEnds(job, tensors, open);
  if (source.files.some(({ name }) => name === "config.json")) checkTokenizerFiles(job);
  for (const tensor of sound) await checkValues(job, tensor, open(tensor)!);
  if (job.original) await compareGraph(job, job.original, { nodes: [...nodesOf(model)], tensors: sound, open });
}

const opener = ({ source }: CheckJob, graph: string): Open => {
  const folder = graph.slice(0, graph.lastIndexOf("/") + 1);
  return ({ file }) => source.files.find(({ name }) => name === folder + file);
};

/** Whether a tensor's bytes are where the graph says. */
function checkPlace({ findings }: CheckJob, { spec, file, offset, bytes }: PlacedTensor, open: Open): boolean {
  const data = open({ file });
  const inFile = `${spec.name} (${file})`;
  if (!data) {
    findings.join("error", "missing-file", "Files that the graph names for its weights are missing.", shown(file));
    return false;
  }
  if (!Number.isSafeInteger(offset) || offset < 0 || bytes !== tensorBytes(spec.dtype, spec.shape)) {
    findings.join("error", "malformed", "Tensors do not have the bytes that their shapes take.", inFile);
    return false;
  }
  if (offset + bytes <= data.size) return true;
  findings.join("error", "truncated", "Files end before the weights that the graph says they hold.", inFile);
  return false;
}

/** Bytes at the end of a file that belong to nobody are another file's, or a graph's that is not this one. */
function checkEnds({ findings }: CheckJob, tensors: readonly PlacedTensor[], open: Open): void {
  const ends = new Map<string, number>();
  for (const { file, offset, bytes } of tensors) ends.set(file, Math.max(ends.get(file) ?? 0, offset + bytes));
  for (const [file, end] of ends) {
    const data = open({ file });
    if (data && data.size > end) findings.join("warning", "malformed", "Files hold bytes beyond the last of the graph's weights.", file);
  }
}

async function checkValues(job: CheckJob, { spec, offset, bytes }: PlacedTensor, file: SourceFile): Promise<void> {
  for (let at = 0; at < bytes; at += pieceBytes) {
    const to = Math.min(bytes, at + pieceBytes);
    job.read(to - at, spec.name);
    if (!findNonFinite(await file.read(offset + at, offset + to), spec.dtype)) continue;
    if (/scales$/i.test(spec.name))
      job.findings.join("error", "scales-not-finite", "Scales of packed layers are NaN or infinite.", spec.name);
    else job.findings.join(isWeight(spec.name) ? "error" : "warning", "not-finite", "Weights are NaN or infinite.", spec.name);
    return;
  }
}
