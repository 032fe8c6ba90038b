/** An ONNX export of ours as a model that can be measured. */
import { QuantError } from "../../errors";
import { mostGraphBytes, nodesOf, type PlacedTensor, placedTensors } from "../../export/onnx/proto";
import { tensorBytes } from "../../io/dtype";
import { readJson } from "../../io/json";
import { shardsOf } from "../../io/shards";
import { findFile } from "../../io/source";
import { shown } from "../../io/text";
import type { Source, SourceFile, TensorInfo } from "../../io/types";
import { checkTensor, expectedTensors, linearLayers, type Model } from "../../model/checkpoint";
import { parseSpec } from "../../model/spec";
import { decodedTensor } from "../decoded";
import { bitsMatrices, type Open } from "./matmul-nbits";

const megabyte = 2 ** 20;
const again = "Write or download the files again.";

/**
 * Opens a folder as `--format onnx` writes it: config.json, a graph whose tensors have Hugging Face's names, and their data beside it. MatMulNBits is unpacked
 * to f32 when it is read, s·(code − z).
 * @throws QuantError `missing-file`, `bad-file`, `truncated`, `missing-tensor`, `wrong-shape`, and what `parseSpec` throws.
 */
export async function openOnnx(source: Source): Promise<Model> {
  const config = findFile(source, "config.json");
  if (!config) throw new QuantError("missing-file", "config.json", "Give the whole folder, with the folder onnx in it.");
  const settings = await readJson(config, megabyte);
  const spec = parseSpec(settings);
  const [graph, ...others] = source.files.filter(({ name }) => /\.onnx$/.test(name));
  if (graph.size > mostGraphBytes)
    throw new QuantError(
      "bad-file",
      `${shown(graph.name)} holds weights itself (${graph.size} bytes)`,
      "Only graphs with their weights in files beside them can be opened.",
    );
  const bytes = await graph.read(0, graph.size);
  const folder = graph.name.slice(0, graph.name.lastIndexOf("/") + 1);
  const open: Open = ({ file }) => source.files.find(({ name }) => name === folder + file);
  const placed = placedTensors(bytes);
  if (!placed.length) throw new QuantError("bad-file", `${shown(graph.name)} names no weights in files beside it`, again);
  for (const tensor of placed) checkPlace(tensor, open);
  const packed = bitsMatrices(nodesOf(bytes), placed, open);
  const tensors = new Map<string, TensorInfo & { file: SourceFile }>();
  for (const { spec: info, offset, bytes: size, ...place } of placed)
    tensors.set(info.name, { ...info, start: offset, end: offset + size, file: open(place)! });
  for (const { name, shape, rows } of packed) tensors.set(`${name}.weight`, decodedTensor(`${name}.weight`, shape, shape[1], rows));
  const notes = others.length ? [`${shown(graph.name)} is opened, not ${others.map(({ name }) => shown(name)).join(", ")}.`] : [];
  const layers = linearLayers(spec);
  const wanted = new Map<string, readonly number[]>(expectedTensors(spec));
  for (const { name, shape } of layers) wanted.set(`${name}.weight`, shape);
  // Codes, scales and zeros stand for the matrices made of them, and tables of angles are no weights: neither is a tensor of the model.
  const shards = shardsOf(new Map([...tensors].filter(([name]) => wanted.has(name))), notes);
  for (const [name, shape] of wanted) checkTensor(shards, name, shape, ["F32", "F16"]);
  const types = [...new Set(packed.map(({ stored }) => stored))];
  const size = [graph, ...new Set(placed.map((place) => open(place)!))].reduce((sum, file) => sum + file.size, 0);
  return {
    source,
    spec,
    unsupported: null,
    architecture: spec.architecture,
    config: settings as Record<string, unknown>,
    shards,
    notes,
    layers,
    stored: { title: `ONNX ${types.join("; ")}`, types, bytes: size, files: 1 + new Set(placed.map(({ file }) => file)).size },
  };
}

/** @throws QuantError where a tensor's bytes are not where the graph says. */
function checkPlace({ spec, file, offset, bytes }: PlacedTensor, open: Open): void {
  const data = open({ file });
  if (!data)
    throw new QuantError("missing-file", `${shown(file)} (named by the graph)`, "Give the whole folder, with the folder onnx in it.");
  if (!Number.isSafeInteger(offset) || offset < 0 || bytes !== tensorBytes(spec.dtype, spec.shape))
    throw new QuantError("bad-file", `${shown(spec.name)} in ${shown(file)} does not have the bytes that its shape takes`, again);
  if (offset + bytes > data.size) throw new QuantError("truncated", `${shown(file)} ends before ${shown(spec.name)} does`, again);
}
