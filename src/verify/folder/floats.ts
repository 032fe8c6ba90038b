/** Tensors that are not packed: whether their values are finite, in the dtype that config.json names too. */

import { isWeight } from "../../export/formats/format";
import { dtypeBytes, findBeyondF16, findNonFinite, isFloat, toFloats } from "../../io/dtype";
import type { Dtype, Shards } from "../../io/types";
import type { CheckJob } from "../job";
import type { Matrix } from "../matrix";
import type { Other } from "../others";

const pieceBytes = 8 * 2 ** 20;

/** Reads a tensor from its first byte to its last, some megabytes at a time. @param isHalf config.json says that clients compute in f16. */
export async function checkValues(job: CheckJob, shards: Shards, name: string, isHalf: boolean): Promise<void> {
  const { file, start, end, dtype } = shards.tensors.get(name)!;
  const step = Math.floor(pieceBytes / dtypeBytes[dtype]) * dtypeBytes[dtype];
  const check = checkerOf(job, name, dtype, isHalf);
  for (let at = start; at < end; at += step) {
    const to = Math.min(end, at + step);
    job.read(to - at, name);
    check(await file.read(at, to), (at - start) / dtypeBytes[dtype]);
  }
}

/** Looks at a piece that begins with element `first`; a tensor is reported once. */
function checkerOf({ findings }: CheckJob, name: string, dtype: Dtype, isHalf: boolean) {
  let isTold = false;
  const tell = (level: "warning" | "error", code: "not-finite" | "beyond-f16", message: string, where: string) => {
    if (!isTold) findings.join(level, code, message, where);
    isTold = true;
  };
  return (bytes: Uint8Array, first: number) => {
    const bad = findNonFinite(bytes, dtype);
    if (bad && isWeight(name)) tell("error", "not-finite", "Weights are NaN or infinite.", `${name} at ${first + bad.index}`);
    else if (bad) tell("warning", "not-finite", "Buffers hold NaN or infinity.", `${name} at ${first + bad.index}`);
    const large = isHalf && isWeight(name) ? findBeyondF16(bytes, dtype) : null;
    if (large)
      tell(
        "error",
        "beyond-f16",
        "Weights become infinite in the float16 that config.json names.",
        `${name} (${large.value.toPrecision(4)})`,
      );
  };
}

/** A layer of floats, read and checked as it is compared; null where it is none. */
export function floatMatrix(job: CheckJob, shards: Shards, name: string, isHalf: boolean): Matrix | null {
  const tensor = floatTensor(job, shards, `${name}.weight`, isHalf);
  if (tensor?.shape.length !== 2) return null;
  const { shape, stored, rows } = tensor;
  return { name, shape: [shape[0], shape[1]], stored, unit: 1, readings: [], rows };
}

/** A vector or matrix of floats, read and checked as it is compared; null where it is none. */
export function floatTensor(job: CheckJob, shards: Shards, name: string, isHalf: boolean): Other | null {
  const { shape, dtype } = shards.tensors.get(name) ?? { shape: [], dtype: "U8" };
  if (!isFloat(dtype) || (shape.length !== 1 && shape.length !== 2)) return null;
  const check = checkerOf(job, name, dtype, isHalf);
  return {
    name,
    source: name,
    shape,
    stored: dtype,
    unit: 1,
    async rows(from, to) {
      const bytes = await shards.readTensor(name, { from, to });
      job.read(bytes.length, name);
      check(bytes, from * (shape[1] ?? 1));
      return toFloats(bytes, dtype);
    },
  };
}
