/** A graph beside the original: its settings, its layers, and all other tensors, which have the original's names. */
import type { PlacedTensor, ReadNode } from "../../export/onnx/proto";
import { dtypeBytes, isFloat, toFloats } from "../../io/dtype";
import { findFile } from "../../io/source";
import { type Checkpoint, ownTensors } from "../../model/checkpoint";
import { headName } from "../../model/layers";
import { ropeTables } from "../../model/rope";
import type { ModelSpec } from "../../model/spec";
import { bitsMatrices, type Open } from "../../reopen/onnx/matmul-nbits";
import type { Rows } from "../../reopen/rows";
import { Comparison } from "../compare";
import { readConfig, specOf } from "../folder/config";
import type { CheckJob } from "../job";
import { compareNetworks, configNames, type Network, tellOther } from "../network";

export interface OpenGraph {
  readonly nodes: readonly ReadNode[];
  /** Tensors whose bytes are where the graph says. */
  readonly tensors: readonly PlacedTensor[];
  readonly open: Open;
}

export async function compareGraph(job: CheckJob, original: Checkpoint, graph: OpenGraph): Promise<void> {
  const { nodes, tensors, open } = graph;
  const byName = new Map(tensors.map((tensor) => [tensor.spec.name, tensor]));
  if (original.spec) await compareSettings(job, original.spec, graph, byName);
  const comparison = new Comparison(job, original, async (name) => {
    const tensor = byName.get(name);
    return tensor && isFloat(tensor.spec.dtype) ? rowsOf(tensor, open)(0, tensor.spec.shape[0]) : null;
  });
  for (const matrix of bitsMatrices(nodes, tensors, open))
    if (comparison.original.shapeOf(matrix.name)) await comparison.layer({ ...matrix, unit: 1, readings: [] });
  const layers = new Set(original.layers.map(({ name }) => `${name}.weight`));
  const own = original.spec ? ownTensors(original.spec).add(headName) : new Set<string>();
  for (const tensor of tensors) {
    const { name, dtype, shape } = tensor.spec;
    if (!isFloat(dtype) || !shape.length || shape.length > 2) continue;
    const read = { stored: dtype, rows: rowsOf(tensor, open), unit: 1 };
    if (layers.has(name) && shape.length === 2)
      await comparison.layer({ ...read, name: name.replace(/\.weight$/, ""), shape: [shape[0], shape[1]], readings: [] });
    else if (own.has(name)) await comparison.other({ ...read, name, source: name, shape });
  }
  comparison.conclude();
}

/** Rows of a matrix, values of a vector. */
function rowsOf(tensor: PlacedTensor, open: Open): Rows {
  const { dtype, shape } = tensor.spec;
  const rowBytes = dtypeBytes[dtype] * (shape[1] ?? 1);
  return async (from, to) => {
    const bytes = await open(tensor)!.read(tensor.offset + from * rowBytes, tensor.offset + to * rowBytes);
    return toFloats(bytes, dtype);
  };
}

/** The config's, which the client needs for its cache, and the graph's own. */
async function compareSettings(
  job: CheckJob,
  original: ModelSpec,
  { nodes, open }: OpenGraph,
  tensors: ReadonlyMap<string, PlacedTensor>,
): Promise<void> {
  const config = findFile(job.source, "config.json") ? await readConfig(job) : null;
  const spec = config && specOf(job, config);
  if (spec) await compareNetworks(job, { spec, hasHead: !spec.tied || tensors.has(headName), names: configNames });
  await compareNetworks(job, { spec: specIn(nodes, original), hasHead: true, names: graphNames });
  for (const which of ["cos", "sin"] as const) {
    const table = tensors.get(`${which}_cache`);
    if (table && isFloat(table.spec.dtype)) await compareTable(job, original, which, rowsOf(table, open), table.spec.shape[0]);
  }
}

/** The original's spec with what the graph's operators say. */
function specIn(nodes: readonly ReadNode[], original: ModelSpec): ModelSpec {
  const attention = nodes.filter(({ type }) => type === "GroupQueryAttention");
  const epsilons = nodes.filter(({ type }) => type === "SimplifiedLayerNormalization").map(({ floats }) => floats.get("epsilon"));
  const int = (name: string, otherwise: number) => attention[0]?.ints.get(name) ?? otherwise;
  return {
    ...original,
    heads: int("num_heads", original.heads),
    kvHeads: int("kv_num_heads", original.kvHeads),
    eps: epsilons.find((eps) => eps !== undefined && Math.abs(eps - original.eps) > 1e-6 * original.eps) ?? original.eps,
    slidingWindows: attention.length
      ? attention.map(({ ints }) => Math.max(0, ints.get("local_window_size") ?? 0))
      : original.slidingWindows,
  };
}

const graphNames: Network["names"] = {
  ...configNames,
  heads: "the graph's num_heads",
  kvHeads: "the graph's kv_num_heads",
  eps: "the graph's epsilon",
  windows: "the graph's local_window_size",
};

/** Positions that are looked at: a wrong base shows in the first ones. */
const mostPositions = 1024;

/** f16 has three digits. */
const tableRounding = 0.01;

async function compareTable(job: CheckJob, original: ModelSpec, which: "cos" | "sin", rows: Rows, length: number): Promise<void> {
  const name = `${which}_cache`;
  const to = Math.min(length, mostPositions);
  job.read(0, name);
  const [is, should] = [await rows(0, to), ropeTables(original, length, { from: 0, to })[which]];
  const off = is.length === should.length ? is.findIndex((x, i) => !(Math.abs(x - should[i]) <= tableRounding)) : 0;
  if (off < 0) return;
  const position = Math.floor(off / (original.headDim / 2));
  tellOther(job, `Rotary embedding, ${which} at position ${position}`, is[off].toPrecision(3), should[off].toPrecision(3), name);
}
