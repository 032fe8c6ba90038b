import { requireShape } from "../shape";
import { type CpuTensor, empty, floats, uints } from "./tensor";

export function deadInputs(H: CpuTensor): CpuTensor {
  const n = H.shape[0];
  return uints(
    Uint32Array.from({ length: n }, (_, j) => (H.data[j * n + j] === 0 ? 1 : 0)),
    [n],
  );
}

/** Dead diagonal entries become the mean of the live ones, so that scaling A changes no result; then fraction · mean(diag) is added. */
export function damp(A: CpuTensor, fraction: number, dead: "lifted" | "kept" = "lifted"): void {
  const n = A.shape[0];
  const diagonal = Array.from({ length: n }, (_, j) => A.data[j * n + j]);
  const mean = meanOf(dead === "lifted" ? diagonal.filter((x) => x !== 0) : diagonal);
  for (const [j, x] of diagonal.entries()) A.data[j * n + j] = (dead === "lifted" && x === 0 ? mean : x) + fraction * mean;
}

/** 1 of nothing. */
const meanOf = (values: readonly number[]): number => (values.length ? values.reduce((s, x) => s + x, 0) / values.length : 1);

export function zeroColumns(W: CpuTensor, dead: CpuTensor): CpuTensor {
  const n = dead.uints.length;
  return floats(
    W.data.map((w, i) => (dead.uints[i % n] ? 0 : w)),
    W.shape,
  );
}

/** From A's lower triangle, column by column. On a bad pivot the status names it, and A is left half done. */
export function cholesky(A: CpuTensor): CpuTensor {
  const n = A.shape[0];
  requireShape(A.shape[1] === n, "cholesky", A.shape.join(" × "));
  let status = 0;
  for (let j = 0; j < n && status === 0; j++) {
    let pivot = A.data[j * n + j];
    for (let k = 0; k < j; k++) pivot -= A.data[j * n + k] ** 2;
    if (!(pivot > 0 && Number.isFinite(pivot))) status = j + 1;
    else fillColumn(A, j, Math.sqrt(pivot));
  }
  return floats(Float64Array.of(status), [1]);
}

function fillColumn(A: CpuTensor, j: number, root: number): void {
  const n = A.shape[0];
  A.data.fill(0, j * n + j + 1, (j + 1) * n);
  A.data[j * n + j] = root;
  for (let i = j + 1; i < n; i++) {
    let sum = A.data[i * n + j];
    for (let k = 0; k < j; k++) sum -= A.data[i * n + k] * A.data[j * n + k];
    A.data[i * n + j] = sum / root;
  }
}

/** (Y·Uᵀ)·U, row by row. */
export function solveRight(U: CpuTensor, Y: CpuTensor): CpuTensor {
  const [m, n] = Y.shape;
  requireShape(U.shape[0] === n, "solveRight", `${U.shape.join(" × ")} and ${Y.shape.join(" × ")}`);
  const X = empty(Y.shape);
  const u = U.data;
  const z = new Float64Array(n);
  for (let r = 0; r < m; r++) {
    const y = Y.data.subarray(r * n, (r + 1) * n);
    const x = X.data.subarray(r * n, (r + 1) * n);
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = j; k < n; k++) sum += y[k] * u[j * n + k];
      z[j] = sum;
    }
    for (let k = 0; k < n; k++) {
      const factor = z[k];
      for (let j = k; j < n; j++) x[j] += factor * u[k * n + j];
    }
  }
  return X;
}

/** L⁻¹ by rows: row i needs only the rows above it, which are inverted already. */
export function invertTriangle(L: CpuTensor): void {
  const n = L.shape[0];
  for (let i = 0; i < n; i++) {
    const row = L.data.slice(i * n, i * n + i);
    const pivot = L.data[i * n + i];
    for (let j = 0; j < i; j++) {
      let sum = 0;
      for (let k = j; k < i; k++) sum -= row[k] * L.data[k * n + j];
      L.data[i * n + j] = sum / pivot;
    }
    L.data[i * n + i] = 1 / pivot;
  }
}

export function descendingDiagonal(H: CpuTensor): CpuTensor {
  const n = H.shape[0];
  const diagonal = Array.from({ length: n }, (_, j) => H.data[j * n + j]);
  const mean = meanOf(diagonal.filter((x) => x !== 0));
  const at = (j: number) => diagonal[j] || mean;
  const order = Array.from({ length: n }, (_, j) => j).sort((a, b) => at(b) - at(a) || a - b);
  return uints(Uint32Array.from(order), [n]);
}

export function permuteSquare(A: CpuTensor, index: CpuTensor | null, reversed: boolean): CpuTensor {
  const n = A.shape[0];
  const from = (i: number) => {
    const at = reversed ? n - 1 - i : i;
    return index ? index.uints[at] : at;
  };
  return floats(
    Float64Array.from(A.data, (_, i) => A.data[from(Math.floor(i / n)) * n + from(i % n)]),
    A.shape,
  );
}

/** Moves elements by the index that each element of the result comes from; float and uint tensors alike. */
function moved(A: CpuTensor, source: (i: number) => number): CpuTensor {
  if (A.kind === "uint")
    return uints(
      Uint32Array.from(A.uints, (_, i) => A.uints[source(i)]),
      A.shape,
    );
  return floats(
    Float64Array.from(A.data, (_, i) => A.data[source(i)]),
    A.shape,
  );
}

export function gatherColumns(A: CpuTensor, index: CpuTensor): CpuTensor {
  const n = index.uints.length;
  requireShape(A.shape[1] === n, "gatherColumns", `${A.shape.join(" × ")} by ${n}`);
  return moved(A, (i) => i - (i % n) + index.uints[i % n]);
}

export function scatterColumns(A: CpuTensor, index: CpuTensor): CpuTensor {
  const inverse = new Uint32Array(index.uints.length);
  for (const [j, column] of index.uints.entries()) inverse[column] = j;
  return gatherColumns(A, uints(inverse, index.shape));
}

export function diagonal(A: CpuTensor): CpuTensor {
  const n = A.shape[0];
  return floats(
    Float64Array.from({ length: n }, (_, j) => A.data[j * n + j]),
    [n],
  );
}

export function keepStrictUpper(A: CpuTensor): void {
  const n = A.shape[0];
  for (let i = 0; i < n; i++) A.data.fill(0, i * n, i * n + i + 1);
}
