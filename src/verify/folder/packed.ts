/** Packed layers: unpacked one at a time, with what is known to go wrong in each scheme. */
import { asQuantError } from "../../errors";
import { packedBeyond } from "../../export/range";
import { shown } from "../../io/text";
import type { Shards } from "../../io/types";
import { type Packing, packedParts, packingTitle, readPacked } from "../../model/packing";
import { type GptqPacking, groupCount } from "../../model/packings/gptq";
import type { PackedMatrix } from "../../ops/packed";
import type { CheckJob } from "../job";
import type { Matrix, Reading } from "../matrix";
import { meanStep, packedRows } from "../packed-rows";
import type { Said } from "./config";
import { type PackedName, saysItsShape } from "./layers";

/** In which an output's mean distance from its zero tells zeros that are off by one: with more bits a step is too small beside the weights' own mean. */
const mostBitsForMean = 4;

/** What was seen of the zeros of all layers. */
export interface Zeros {
  /** The mean of code − z of each layer. */
  readonly means: number[];
  /** Layers whose zeros all are this many steps off the centre of a symmetric grid. */
  readonly off: Map<number, string[]>;
}

/** Reads a layer and checks its values. Null, with a finding, where it cannot be read. */
export async function openPacked(job: CheckJob, said: Said, shards: Shards, { name, shape }: PackedName): Promise<PackedMatrix | null> {
  const { findings } = job;
  const packing = said.packing!;
  job.read(partBytes(shards, packing, name), name);
  try {
    if (packing.scheme === "compressed-tensors" && !(await saysItsShape(shards, name, shape!)))
      findings.join("error", "wrong-shape", "weight_shape is not the layer's shape.", name);
    const matrix = await readPacked(shards, name, shape!, packing);
    const beyond = matrix.half && !matrix.groupOf ? packedBeyond(matrix) : null;
    if (beyond)
      findings.join("error", "beyond-f16", "Weights become infinite when clients unpack them to float16.", `${name} at ${beyond.index}`);
    return matrix;
  } catch (cause) {
    tellFailure(job, cause, name);
    return null;
  }
}

function tellFailure({ findings }: CheckJob, cause: unknown, name: string): void {
  const error = asQuantError(cause);
  if (error.code === "non-finite-weights")
    findings.join("error", "scales-not-finite", "Scales or offsets of packed layers are NaN or infinite.", error.where);
  else if (error.code === "contradiction") findings.join("error", "g-idx-order", "g_idx names groups that do not exist.", error.where);
  else findings.failed(cause, name);
}

const partBytes = (shards: Shards, packing: Packing, name: string): number =>
  packedParts(packing).reduce((sum, part) => {
    const tensor = shards.tensors.get(`${name}.${part}`);
    return sum + (tensor ? tensor.end - tensor.start : 0);
  }, 0);

/** Looks at a GPTQ layer's zeros and groups. */
export function checkGptq(job: CheckJob, said: Said, shards: Shards, name: string, matrix: PackedMatrix, seen: Zeros): void {
  const { settings } = said;
  if (settings.sym === true) {
    const off = matrix.zeros[0] - 2 ** (matrix.bits - 1);
    if (off !== 0 && (matrix.zeros as Uint8Array).every((z) => z === matrix.zeros[0]))
      seen.off.set(off, [...(seen.off.get(off) ?? []), name]);
  }
  if (matrix.bits <= mostBitsForMean) seen.means.push(meanStep(matrix));
  checkGroups(job, said, shards, name, matrix);
}

function checkGroups({ findings }: CheckJob, { settings, packing }: Said, shards: Shards, name: string, matrix: PackedMatrix): void {
  const { groupOf, shape, scales } = matrix;
  const groupSize = (packing as GptqPacking).groupSizes.find((size) => groupCount(size, shape[1]) === scales.length / shape[0])!;
  const hasOrder = settings.desc_act === true && groupSize > 0;
  if (hasOrder && !shards.tensors.has(`${name}.g_idx`))
    findings.join("error", "g-idx-missing", "desc_act is true, but there is no g_idx that says which group an input is in.", name);
  if (!groupOf || groupSize < 1) return;
  const sizes = new Uint32Array(Math.ceil(shape[1] / groupSize));
  for (const g of groupOf) sizes[g]++;
  if (sizes.some((size, g) => size !== Math.min(groupSize, shape[1] - g * groupSize)))
    findings.join("error", "g-idx-order", `g_idx puts other numbers of inputs into groups than group_size (${groupSize}).`, name);
  else if (settings.desc_act === false)
    findings.join(
      "warning",
      "g-idx-order",
      "desc_act is false, but g_idx is not in order: clients that trust desc_act ignore g_idx.",
      name,
    );
}

/** What the zeros of all layers tell without an original. A comparison that has told already is believed. */
export function concludeZeros({ findings }: CheckJob, { packing }: Said, { means, off }: Zeros): void {
  if (packing?.scheme !== "gptq" || findings.has("gptq-zeros")) return;
  const sign = packing.zeroOffset ? 1 : -1;
  const [is, should] = packing.zeroOffset ? ["v2", "v1"] : ["v1", "v2"];
  const label = `the file holds them as ${is}, but is labelled ${should} (checkpoint_format)`;
  const mean = means.toSorted((a, b) => a - b)[means.length >> 1] ?? 0;
  const wrong = off.get(sign) ?? [];
  if (wrong.length) {
    const said = `Every zero reads one ${sign < 0 ? "below" : "above"} the middle of its symmetric grid: ${label}.`;
    findings.add("error", "gptq-zeros", said, `${wrong.length} layers`);
  } else if (Math.abs(mean + sign) < 0.3) {
    // A zero that reads one too large makes every weight one step too small.
    const said = `Weights are ${Math.abs(mean).toFixed(2)} steps ${mean < 0 ? "below" : "above"} 0 on average: ${label}.`;
    findings.add("error", "gptq-zeros", said, `${means.length} layers`);
  }
}

/** A layer to be compared, with the readings that undo what is known to go wrong. */
export function packedMatrix(said: Said, name: string, matrix: PackedMatrix): Matrix {
  const packing = said.packing!;
  return {
    name,
    shape: matrix.shape,
    stored: shown(packingTitle(packingOf(packing, matrix))),
    unit: 8,
    rows: packedRows(matrix),
    readings: packing.scheme === "gptq" ? gptqReadings(packing, matrix) : packing.scheme === "awq" ? awqReadings(matrix) : [],
  };
}

/** The settings of this layer alone, where layers differ. */
function packingOf(packing: Packing, { bits, scales, shape: [out, n] }: PackedMatrix): Packing {
  if (!("groupSizes" in packing)) return packing;
  const groups = scales.length / out;
  return { ...packing, bits: [bits], groupSizes: packing.groupSizes.length > 1 ? [groups > 1 ? n / groups : -1] : packing.groupSizes };
}

function gptqReadings({ zeroOffset }: GptqPacking, matrix: PackedMatrix): Reading[] {
  const zeros: Reading = {
    code: "gptq-zeros",
    how: zeroOffset ? "zeros as v2 has them (as they are)" : "zeros as v1 has them (minus one)",
    means: `the file is labelled wrongly (checkpoint_format should be ${zeroOffset ? "gptq_v2" : "gptq"}).`,
    rows: packedRows(matrix, { zeroShift: zeroOffset ? -1 : 1 }),
  };
  if (!matrix.groupOf) return [zeros];
  const order: Reading = {
    code: "g-idx-order",
    how: "groups in order",
    means: "g_idx is permuted, and the weights are not.",
    rows: packedRows(matrix, { inOrder: true }),
  };
  return [zeros, order];
}

/** The output of a run of eight whose code the reader takes for output i's. */
const order = [0, 4, 1, 5, 2, 6, 3, 7];

function awqReadings(matrix: PackedMatrix): Reading[] {
  const reading = (how: string, from: (i: number) => number): Reading => ({
    code: "awq-nibbles",
    how,
    means: "the nibbles of each word are in the wrong order.",
    rows: packedRows(matrix, { rowOf: (r) => (r & ~7) + from(r & 7) }),
  });
  return [
    reading("nibbles in the order of the outputs", (i) => order.indexOf(i)),
    reading("nibbles in the inverse of AWQ's order", (i) => order.indexOf(order.indexOf(i))),
  ];
}
