/** Tensors that are unpacked when they are read. */
import { checkRange } from "../io/source";
import type { SourceFile, TensorInfo } from "../io/types";
import type { Rows } from "./rows";

const bytesPerValue = 4;

/**
 * A tensor in f32 over rows that are unpacked on demand.
 * @param width values of a row. @param unit rows are asked for in multiples of it, but for the last ones.
 */
export function decodedTensor(
  name: string,
  shape: readonly number[],
  width: number,
  rows: Rows,
  unit = 1,
): TensorInfo & { file: SourceFile } {
  const count = shape.reduce((a, b) => a * b, 1) / width;
  const rowBytes = bytesPerValue * width;
  const file: SourceFile = {
    name: `${name} (unpacked)`,
    size: count * rowBytes,
    async read(start, end) {
      checkRange(this, start, end);
      if (start === end) return new Uint8Array(0);
      const from = Math.floor(start / rowBytes / unit) * unit;
      const to = Math.min(count, Math.ceil(end / rowBytes / unit) * unit);
      const { buffer, byteOffset } = await rows(from, to);
      return new Uint8Array(buffer, byteOffset + start - from * rowBytes, end - start);
    },
  };
  return { name, dtype: "F32", shape, start: 0, end: file.size, file };
}
