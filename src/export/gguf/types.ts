import { QuantError } from "../../errors";

export interface TypeTraits {
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

/** Types that are not written here, but have their place in other programs' files (ggml.c, `type_traits`). */
export const otherTypes = {
  Q8_1: { id: 9, values: 32, bytes: 36 },
  Q8_K: { id: 15, values: 256, bytes: 292 },
  IQ2_XXS: { id: 16, values: 256, bytes: 66 },
  IQ2_XS: { id: 17, values: 256, bytes: 74 },
  IQ3_XXS: { id: 18, values: 256, bytes: 98 },
  IQ1_S: { id: 19, values: 256, bytes: 50 },
  IQ4_NL: { id: 20, values: 32, bytes: 18 },
  IQ3_S: { id: 21, values: 256, bytes: 110 },
  IQ2_S: { id: 22, values: 256, bytes: 82 },
  IQ4_XS: { id: 23, values: 256, bytes: 136 },
  I8: { id: 24, values: 1, bytes: 1 },
  I16: { id: 25, values: 1, bytes: 2 },
  I32: { id: 26, values: 1, bytes: 4 },
  I64: { id: 27, values: 1, bytes: 8 },
  F64: { id: 28, values: 1, bytes: 8 },
  IQ1_M: { id: 29, values: 256, bytes: 56 },
  BF16: { id: 30, values: 1, bytes: 2 },
  TQ1_0: { id: 34, values: 256, bytes: 54 },
  TQ2_0: { id: 35, values: 256, bytes: 66 },
  MXFP4: { id: 39, values: 32, bytes: 17 },
} as const satisfies Record<string, TypeTraits>;

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
