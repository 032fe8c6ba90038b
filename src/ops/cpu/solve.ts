import { type CpuTensor, empty, floats, requireShape, uints } from "./tensor";

export function deadInputs(H: CpuTensor): CpuTensor {
  const n = H.shape[0];
  return uints(
    Uint32Array.from({ length: n }, (_, j) => (H.data[j * n + j] === 0 ? 1 : 0)),
    [n],
  );
}

/** Dead diagonal entries become the mean of the live ones, so that scaling H changes no result; then fraction · mean(diag) is added. */
export function damped(H: CpuTensor, dead: CpuTensor, fraction: number): CpuTensor {
  const n = H.shape[0];
  const A = floats(H.data.slice(), H.shape);
  const live = Array.from({ length: n }, (_, j) => j).filter((j) => dead.uints[j] === 0);
  const mean = live.length ? live.reduce((s, j) => s + H.data[j * n + j], 0) / live.length : 1;
  for (let j = 0; j < n; j++) A.data[j * n + j] = (dead.uints[j] ? mean : H.data[j * n + j]) + fraction * mean;
  return A;
}

export function zeroColumns(W: CpuTensor, dead: CpuTensor): CpuTensor {
  const n = dead.uints.length;
  return floats(
    W.data.map((w, i) => (dead.uints[i % n] ? 0 : w)),
    W.shape,
  );
}

/** L Lᵀ = A from A's lower triangle; on a bad pivot the status names it and the rest of L is unspecified but finite. */
export function cholesky(A: CpuTensor): { L: CpuTensor; status: CpuTensor } {
  const n = A.shape[0];
  requireShape(A.shape[1] === n, "cholesky", A.shape.join(" × "));
  const L = empty([n, n]);
  let status = 0;
  for (let j = 0; j < n && status === 0; j++) {
    let pivot = A.data[j * n + j];
    for (let k = 0; k < j; k++) pivot -= L.data[j * n + k] ** 2;
    if (!(pivot > 0 && Number.isFinite(pivot))) status = j + 1;
    else fillColumn(A, L, j, Math.sqrt(pivot));
  }
  return { L, status: floats(Float64Array.of(status), [1]) };
}

function fillColumn(A: CpuTensor, L: CpuTensor, j: number, root: number): void {
  const n = A.shape[0];
  L.data[j * n + j] = root;
  for (let i = j + 1; i < n; i++) {
    let sum = A.data[i * n + j];
    for (let k = 0; k < j; k++) sum -= L.data[i * n + k] * L.data[j * n + k];
    L.data[i * n + j] = sum / root;
  }
}

/** (Y·Uᵀ)·U, row by row. */
export function solveRight(U: CpuTensor, Y: CpuTensor): CpuTensor {
  const [m, n] = Y.shape;
  requireShape(U.shape[0] === n, "solveRight", `${U.shape.join(" × ")} and ${Y.shape.join(" × ")}`);
  const X = empty(Y.shape);
  const z = new Float64Array(n);
  for (let r = 0; r < m; r++) {
    for (let j = 0; j < n; j++) {
      z[j] = 0;
      for (let k = j; k < n; k++) z[j] += Y.data[r * n + k] * U.data[j * n + k];
    }
    for (let k = 0; k < n; k++) for (let j = k; j < n; j++) X.data[r * n + j] += z[k] * U.data[k * n + j];
  }
  return X;
}

/** L⁻¹ by columns, forward substitution. */
export function triangularInverse(L: CpuTensor): CpuTensor {
  const n = L.shape[0];
  const X = empty([n, n]);
  for (let j = 0; j < n; j++)
    for (let i = j; i < n; i++) {
      let sum = i === j ? 1 : 0;
      for (let k = j; k < i; k++) sum -= L.data[i * n + k] * X.data[k * n + j];
      X.data[i * n + j] = sum / L.data[i * n + i];
    }
  return X;
}

export function descendingDiagonal(H: CpuTensor): CpuTensor {
  const n = H.shape[0];
  const at = (j: number) => H.data[j * n + j];
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

export function strictUpper(A: CpuTensor): CpuTensor {
  const n = A.shape[0];
  return floats(
    A.data.map((x, i) => (i % n > Math.floor(i / n) ? x : 0)),
    A.shape,
  );
}
