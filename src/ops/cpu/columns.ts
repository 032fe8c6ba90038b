import { packBits, unpackBits } from "../bits";
import { pointOf } from "../grid-kinds";
import type { ColumnRounding } from "../ops";
import { requireShape } from "../shape";
import { codeOf } from "./groups";
import { type CpuTensor, uints } from "./tensor";

const cpu = (t: unknown) => t as CpuTensor;

/** GPTQ's inner loop. Rows are independent, so each goes through the block's columns and then through the later ones by itself. */
export function roundColumns(job: ColumnRounding, from: number, to: number): void {
  const [out, n] = job.W.shape;
  requireShape(to - from <= 128 && to <= n && job.errors.shape[1] >= to - from, "roundColumns", `columns ${from} to ${to} of ${n}`);
  for (let row = 0; row < out; row++) roundRow(job, row, from, to);
}

function roundRow({ W, U, codes, grid, bits, groupSize, order, P }: ColumnRounding, row: number, from: number, to: number): void {
  const n = W.shape[1];
  const groups = grid.scales.shape[1];
  const w = cpu(W).data.subarray(row * n, (row + 1) * n);
  const u = cpu(U).data;
  const p = P ? cpu(P).data : null;
  const errors: number[] = [];
  const values: number[] = [];
  for (let j = from; j < to; j++) {
    const input = order ? cpu(order).uints[j] : j;
    const at = row * groups + (groupSize < 0 ? 0 : Math.floor(input / groupSize));
    const scale = cpu(grid.scales).data[at];
    const zero = cpu(grid.zeros).data[at];
    const code = codeOf(grid.kind, scale, zero, w[j], 2 ** bits - 1);
    cpu(codes).uints[row * n + j] = code;
    const e = (w[j] - pointOf(grid.kind, scale, zero, code)) / u[j * n + j];
    errors.push(e);
    values.push(w[j]);
    for (let k = j + 1; k < to; k++) w[k] -= e * u[j * n + k] - (p ? values[j - from] * p[j * n + k] : 0);
  }
  for (let k = to; k < n; k++)
    for (let j = from; j < to; j++) w[k] -= errors[j - from] * u[j * n + k] - (p ? values[j - from] * p[j * n + k] : 0);
}

const wordsOf = (columns: number, bits: number) => Math.ceil((columns * bits) / 32);

export function pack(codes: CpuTensor, bits: number): CpuTensor {
  const [out, n] = codes.shape;
  const perRow = wordsOf(n, bits);
  const words = new Uint32Array(out * perRow);
  for (let row = 0; row < out; row++) words.set(packBits(codes.uints.subarray(row * n, (row + 1) * n), bits), row * perRow);
  return uints(words, [out, perRow]);
}

export function unpack(words: CpuTensor, bits: number, columns: number): CpuTensor {
  const [out, perRow] = words.shape;
  requireShape(perRow === wordsOf(columns, bits), "unpack", `${words.shape.join(" × ")} words for ${columns} columns of ${bits} bits`);
  return uints(Uint32Array.from(unpackBits(words.uints, bits, columns, out)), [out, columns]);
}
