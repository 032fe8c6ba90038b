import { type CpuTensor, empty, floats, requireShape, uints } from "./tensor";

export function deadInputs(H: CpuTensor): CpuTensor {
  const n = H.shape[0];
  return uints(
    Uint32Array.from({ length: n }, (_, j) => (H.data[j * n + j] === 0 ? 1 : 0)),
    [n],
  );
}

/** Dead diagonal entries take the mean live one, so that scaling H changes nothing; then fraction · mean(diag) is added. */
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

/** Y (L Lᵀ)⁻¹: Z Lᵀ = Y from the left, then D L = Z from the right; rows never talk. */
export function solveRight(L: CpuTensor, Y: CpuTensor): CpuTensor {
  const [m, n] = Y.shape;
  requireShape(L.shape[0] === n, "solveRight", `${Y.shape.join(" × ")} and ${L.shape.join(" × ")}`);
  const D = floats(Y.data.slice(), Y.shape);
  for (let r = 0; r < m; r++) {
    const y = D.data.subarray(r * n, (r + 1) * n);
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < j; k++) y[j] -= y[k] * L.data[j * n + k];
      y[j] /= L.data[j * n + j];
    }
    for (let j = n - 1; j >= 0; j--) {
      for (let k = j + 1; k < n; k++) y[j] -= y[k] * L.data[k * n + j];
      y[j] /= L.data[j * n + j];
    }
  }
  return D;
}
