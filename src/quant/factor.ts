import type { Ops, Tensor } from "../ops/ops";
import { dampingFor, factorDamped } from "./damping";

/** The factor that a recipe asks for. */
export interface WantedFactor {
  /** λ = damp · mean(diag H); null: auto. */
  damp: number | null;
  /** Inputs by descending diagonal of H. */
  actOrder: boolean;
}

/** What a factor is made with. */
export interface FactorSettings extends WantedFactor {
  damp: number;
}

/** A factor's settings for layers of n inputs. @param tokens that H is made of. */
export const settled = ({ damp, actOrder }: WantedFactor, n: number, tokens: number): FactorSettings => ({
  damp: dampingFor(damp, n, tokens),
  actOrder,
});

/** A factor of a stage's (H + λI)⁻¹: QEP solves with it, and methods round column by column with it. */
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
 * One Cholesky and one triangular inverse, both in place: J·H·J = L·Lᵀ gives U = J·L⁻¹·J (J flips both axes), a third of the work of inverting H first.
 * Beside H it holds one more matrix of its size; once it has done with H, two.
 * @param H mirrored [in, in], undamped; left as it is. @param spare called when H has been read for the last time.
 */
export async function inverseFactor(ops: Ops, H: Tensor, settings: FactorSettings, spare: () => void = () => {}): Promise<InverseFactor> {
  const dead = ops.deadInputs(H);
  const order = settings.actOrder ? ops.descendingDiagonal(H) : null;
  const { L, tried } = await factorDamped(ops, () => ops.permuteSquare(H, order, true), settings.damp);
  spare();
  if (!L) return { settings, U: null, order, dead, tried };
  ops.invertTriangle(L);
  const U = ops.permuteSquare(L, null, true);
  ops.free(L);
  return { settings, U, order, dead, tried };
}

/** Y·(H + λI)⁻¹: [m, in], a new tensor. `U` must be there. */
export function timesInverse(ops: Ops, { U, order }: InverseFactor, Y: Tensor): Tensor {
  if (!order) return ops.solveRight(U!, Y);
  const arranged = ops.gatherColumns(Y, order);
  const solved = ops.solveRight(U!, arranged);
  ops.free(arranged);
  const X = ops.scatterColumns(solved, order);
  ops.free(solved);
  return X;
}

export function freeFactor(ops: Ops, { U, order, dead }: InverseFactor): void {
  ops.free(...[U, order, dead].filter((t) => t !== null));
}

export const sameSettings = (a: WantedFactor, b: WantedFactor): boolean => a.damp === b.damp && a.actOrder === b.actOrder;
