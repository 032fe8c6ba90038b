import { QuantError } from "../errors";
import { elements, type Tensor } from "./ops";

export const dims = (...tensors: Tensor[]): string => tensors.map((t) => t.shape.join(" × ")).join(" and ");

/** The argument check of every operation: a wrong shape is our bug, and is named. @throws QuantError `internal`. */
export function requireShape(ok: boolean, operation: string, detail: string): void {
  if (!ok) throw new QuantError("internal", `${operation} got ${detail}`);
}

/** A tensor seen as rows of its last dimension. */
export function rowsOf(t: Tensor): { rows: number; columns: number } {
  const columns = t.shape[t.shape.length - 1] ?? 1;
  return { rows: columns === 0 ? 0 : elements(t.shape) / columns, columns };
}

export const isMatrix = (t: Tensor): boolean => t.shape.length === 2;
export const isSquare = (t: Tensor): boolean => isMatrix(t) && t.shape[0] === t.shape[1];
