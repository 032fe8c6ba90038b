import { QuantError } from "../../errors";

interface TypeTraits {
  /** Its number in a file (ggml.h, `enum ggml_type`). */
  readonly id: number;
  /** Values of a block; a row is a whole number of blocks. */
  readonly values: number;
  /** Bytes of a block. */
  readonly bytes: number;
}

/** The tensor types of GGUF that are written here, by ggml's names for them. Layouts: plain-blocks.ts and k-blocks.ts. */
export const ggmlTypes = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q5_0: { id: 6, values: 32, bytes: 22 },
  Q5_1: { id: 7, values: 32, bytes: 24 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q2_K: { id: 10, values: 256, bytes: 84 },
  Q3_K: { id: 11, values: 256, bytes: 110 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q5_K: { id: 13, values: 256, bytes: 176 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  Q2_0: { id: 42, values: 64, bytes: 18 },
} as const satisfies Record<string, TypeTraits>;

export type GgmlType = keyof typeof ggmlTypes;

const byId: ReadonlyMap<number, GgmlType> = new Map(Object.entries(ggmlTypes).map(([name, { id }]) => [id, name as GgmlType]));

/** The type with this number; undefined for one that is not written here. */
export const typeWithId = (id: number): GgmlType | undefined => byId.get(id);

/** Bytes of n values, which must be whole blocks. */
export const bytesOf = (type: GgmlType, n: number): number => (n / ggmlTypes[type].values) * ggmlTypes[type].bytes;

/** Bytes of a tensor [..., in]. @throws QuantError `internal` where rows are not whole blocks, or no file could hold it. */
export function tensorBytes(name: string, type: GgmlType, shape: readonly number[]): number {
  const bytes = bytesOf(
    type,
    shape.reduce((a, b) => a * b, 1),
  );
  const whole = shape.length > 0 && shape.length <= 4 && shape.every((d) => Number.isSafeInteger(d) && d > 0);
  if (!whole || shape[shape.length - 1] % ggmlTypes[type].values || !Number.isSafeInteger(bytes))
    throw new QuantError(
      "internal",
      `${name} of type ${type} has the shape [${shape}]`,
      "Please report this with the steps that led here.",
    );
  return bytes;
}
