import { QuantError } from "../errors";
import { superKinds, superSize } from "../ops/grid-kinds";
import type { GridSpec } from "../ops/ops";
import type { TensorType } from "../recipe/types";

interface Type {
  grid: GridSpec & { kind: NonNullable<GridSpec["kind"]> };
  /** Inputs of a block of the file. */
  block: number;
  /** What llama.cpp takes where a row is not made of whole blocks. */
  instead: TensorType | null;
}

const affine = (kind: "signed" | "real-zero", bits: number, instead: TensorType | null = null, block = 32): Type => ({
  grid: { kind, bits, groupSize: block, symmetric: kind === "signed" },
  block,
  instead,
});

const superType = (kind: keyof typeof superKinds, instead: TensorType): Type => {
  const { bits, groupSize, mins } = superKinds[kind];
  return { grid: { kind, bits, groupSize, symmetric: !mins }, block: superSize, instead };
};

/** GGUF's types as grids. Their fallbacks are llama.cpp's. */
export const types: Readonly<Record<TensorType, Type>> = {
  Q2_0: affine("signed", 2, "Q4_0", 64),
  Q4_0: affine("signed", 4),
  Q5_0: affine("signed", 5),
  Q8_0: affine("signed", 8),
  Q4_1: affine("real-zero", 4),
  Q5_1: affine("real-zero", 5),
  Q2_K: superType("q2_k", "Q4_0"),
  Q3_K: superType("q3_k", "Q4_0"),
  Q4_K: superType("q4_k", "Q5_0"),
  Q5_K: superType("q5_k", "Q5_1"),
  Q6_K: superType("q6_k", "Q8_0"),
};

/** The type that a layer with n inputs can have: the one that is wanted, or what llama.cpp would take instead. */
export function typeFor(wanted: TensorType, n: number): TensorType {
  const { block, instead } = types[wanted];
  if (n % block === 0) return wanted;
  if (instead && n % types[instead].block === 0) return instead;
  throw new QuantError("bad-recipe", `${n} inputs are not whole blocks of ${wanted}`, "Use a format without blocks.");
}
