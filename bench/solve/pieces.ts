/** Cholesky with the triangle's inverse, and the symmetric gram, each against an equal product. */

import { differs, values } from "../../scripts/pack/check";
import { mostResidual, statistics } from "../../scripts/pack/solve";
import { digits, duration } from "../../scripts/pack/timing";
import type { Ops, Tensor } from "../../src/ops/ops";
import { fact, judged, type Row } from "../support/report";
import { inTurn, median, medianRatio, type Work } from "../support/times";

/** a · b in one of three forms, looked at in uneven places. */
export function product(ops: Ops, n: number, form: "NN" | "NT" | "TN"): Work<Tensor> {
  const [a, b] = [values(11, [n, n]), values(12, [n, n])];
  const [A, B] = [a, b].map((data) => ops.fromFloats(data, [n, n]));
  const left = (i: number, k: number) => (form === "TN" ? a[k * n + i] : a[i * n + k]);
  const right = (k: number, j: number) => (form === "NT" ? b[j * n + k] : b[k * n + j]);
  return {
    run() {
      if (form === "NN") return ops.matmul(A, B);
      if (form === "NT") return ops.linear(A, B);
      const C = ops.zeros([n, n]);
      ops.crossGram(C, A, B);
      return C;
    },
    check: (y) => sampled(ops, y, n, (i, k, j) => left(i, k) * right(k, j)),
  };
}

/** @throws if an entry is not the sum over k of its terms. */
async function sampled(ops: Ops, y: Tensor, n: number, term: (i: number, k: number, j: number) => number): Promise<void> {
  const [got] = await ops.read([y]);
  for (let s = 0; s < 256; s++) {
    const at = s === 0 ? n * n - 1 : (s * 104729) % (n * n);
    const [i, j] = [Math.floor(at / n), at % n];
    const wrong = differs(got[at], n, (k) => term(i, k, j));
    if (wrong) throw new Error(`entry ${i}, ${j} of ${n} × ${n} ${wrong}`);
  }
}

/** L⁻¹ of A = H + λI, from a copy of A; held against A. */
function triangles(ops: Ops, n: number): Work<{ X: Tensor; status: Tensor }> {
  const { H } = statistics(ops, n);
  ops.damp(H, 0.01);
  return {
    run() {
      const X = ops.permuteSquare(H, null, false);
      const status = ops.cholesky(X);
      ops.invertTriangle(X);
      return { X, status };
    },
    async check({ X, status }) {
      const [a, x, [bad]] = await ops.read([H, X, status]);
      if (bad !== 0) throw new Error(`Cholesky stopped at pivot ${bad - 1}`);
      const rows = [0, 1, n >> 1, n - 1];
      for (const i of rows) {
        // Row i of L⁻¹·A·L⁻ᵀ must be that of I.
        const row = new Float64Array(n);
        for (let k = 0; k <= i; k++) for (let j = 0; j < n; j++) row[j] += x[i * n + k] * a[k * n + j];
        for (const j of rows) {
          let sum = 0;
          for (let k = 0; k <= j; k++) sum += row[k] * x[j * n + k];
          const off = Math.abs(sum - (i === j ? 1 : 0));
          if (!(off <= mostResidual(n))) throw new Error(`entry ${i}, ${j} of L⁻¹·A·L⁻ᵀ is off by ${off}`);
        }
      }
    },
  };
}

export async function triangleRow(ops: Ops, n: number, rounds: number): Promise<Row> {
  const times = await inTurn(ops, { triangles: triangles(ops, n), product: product(ops, n, "NN") }, rounds, true);
  const ratio = medianRatio(times.triangles, times.product);
  return judged({
    what: `Cholesky and the triangle's inverse, n = ${n}, against a product ${n}³`,
    measured: `${digits(ratio)}× (${duration(median(times.triangles))} and ${duration(median(times.product))})`,
    value: ratio,
    goal: { most: 1, text: "≤ 1×" },
    why: "a third of the product's operations, but block columns go one after the other, and what a step leaves to multiply is narrow.",
  });
}

/** The symmetric gram and its mirror against the fastest of the three forms of a product of its size. */
export async function gramRows(ops: Ops, n: number, rounds: number): Promise<Row[]> {
  const x = values(13, [n, n]);
  const inputs = ops.fromFloats(x, [n, n]);
  const gram: Work<Tensor> = {
    run() {
      const H = ops.zeros([n, n]);
      ops.gram(H, inputs);
      ops.mirror(H);
      return H;
    },
    check: (H) => sampled(ops, H, n, (i, t, j) => x[t * n + i] * x[t * n + j]),
  };
  const forms = { NN: product(ops, n, "NN"), NT: product(ops, n, "NT"), TN: product(ops, n, "TN") };
  const times = await inTurn(ops, { gram, ...forms }, rounds, true);
  const names = Object.keys(forms) as (keyof typeof forms)[];
  const fastest = names.toSorted((a, b) => median(times[a]) - median(times[b]))[0];
  const ratio = medianRatio(times.gram, times[fastest]);
  const row = judged({
    what: `XᵀX with its mirror, ${n} tokens of ${n} inputs, against the fastest product ${n}³`,
    measured: `${digits(ratio)}× (${duration(median(times.gram))} and ${duration(median(times[fastest]))})`,
    value: ratio,
    goal: { most: 0.6, text: "≤ 0.6×" },
    why: "it computes the lower tiles, half and the diagonal, in the form AᵀB, which reads both operands by columns.",
  });
  const all = names.map((form) => `${form} ${duration(median(times[form]))}`).join(", ");
  return [
    row,
    fact(`A product ${n}³ in its three forms (A·B, A·Bᵀ, AᵀB)`, all.replace("NN", "A·B").replace("NT", "A·Bᵀ").replace("TN", "AᵀB")),
  ];
}
