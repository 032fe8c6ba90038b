import type { Ops, Tensor } from "../ops/ops";
import { factorDamped } from "./damping";

/** What a factor is made with. */
export interface FactorSettings {
  /** λ = damp · mean(diag H). */
  damp: number;
  /** Inputs by descending diagonal of H. */
  actOrder: boolean;
}

/** The factor of a stage's (H + λI)⁻¹: QEP solves with it, and methods round column by column with it. */
export interface InverseFactor {
  settings: FactorSettings;
  /** U [in, in] upper, UᵀU = (H + λI)⁻¹ with inputs in visiting order; null when no damping made it positive definite. */
  U: Tensor | null;
  /** uint [in]: the input that each place stands for; null: each its own. */
  order: Tensor | null;
  /** uint [in]: 1 for inputs that are never active. */
  dead: Tensor;
  /** Damping fractions tried; the last is in use. */
  tried: number[];
}

/**
 * One Cholesky and one triangular inverse: J·H·J = L·Lᵀ gives U = J·L⁻¹·J (J flips both axes), a third of the work of inverting H first.
 * @param H mirrored [in, in], undamped; left as it is.
 */
export async function inverseFactor(ops: Ops, H: Tensor, settings: FactorSettings): Promise<InverseFactor> {
  const dead = ops.deadInputs(H);
  const order = settings.actOrder ? visitingOrder(ops, H, dead) : null;
  const { L, tried } = await factorDamped(ops, H, dead, settings.damp, (A) => ops.permuteSquare(A, order, true));
  if (!L) return { settings, U: null, order, dead, tried };
  const inverse = ops.triangularInverse(L);
  ops.free(L);
  const U = ops.permuteSquare(inverse, null, true);
  ops.free(inverse);
  return { settings, U, order, dead, tried };
}

/** The order of the columns by descending diagonal of H, where dead inputs count as having the mean of the live ones. */
function visitingOrder(ops: Ops, H: Tensor, dead: Tensor): Tensor {
  const live = ops.damped(H, dead, 0);
  const order = ops.descendingDiagonal(live);
  ops.free(live);
  return order;
}

/** Y·(H + λI)⁻¹: [m, in], a new tensor. `U` must be there. */
export function timesInverse(ops: Ops, { U, order }: InverseFactor, Y: Tensor): Tensor {
  if (!order) return ops.solveRight(U!, Y);
  const arranged = ops.gatherColumns(Y, order);
  const solved = ops.solveRight(U!, arranged);
  const X = ops.scatterColumns(solved, order);
  ops.free(arranged, solved);
  return X;
}

export function freeFactor(ops: Ops, { U, order, dead }: InverseFactor): void {
  ops.free(...[U, order, dead].filter((t) => t !== null));
}

export const sameSettings = (a: FactorSettings, b: FactorSettings): boolean => a.damp === b.damp && a.actOrder === b.actOrder;

/** `made`, if it is what these settings ask for. */
export const reusable = (made: InverseFactor | null, settings: FactorSettings): InverseFactor | null =>
  made && sameSettings(made.settings, settings) ? made : null;

/** Elements held at once while a factor of n inputs is made: at every step a matrix and what it becomes. */
export const factorElements = (n: number): number => 2 * n * n;
