import type { Ops, Tensor } from "../ops/ops";
import { type FeedBack, factorOf, quantizeColumns } from "./gptq";
import type { Quantizer } from "./quantizer";

/**
 * GPTAQ (Li et al., 2025): GPTQ whose target is the full-precision model's output, W·X, not W·X̂: as a column is rounded, its value also moves the later
 * ones by P = α·triu(C·Uᵀ, 1)·U, the part of the upstream error that they can still answer. C = (2/T)·(X − Xq)ᵀXq, U as in GPTQ.
 */
export const gptaq: Quantizer = {
  needs: { H: true, C: true },
  packable: true,
  cost: (rows, n) => {
    const out = rows.reduce((a, b) => a + b, 0);
    // P's making; then P, a layer in visiting order and its errors, while codes of all layers pile up.
    return { work: 4 * n ** 3 + 2 * out * n * n, elements: Math.max(3 * n * n, n * n + Math.max(...rows) * (2 * n + 256) + out * n) };
  },
  factor: factorOf,
  quantize: (stage, options, ops, signal) => quantizeColumns(stage, options, ops, asymmetry(stage.C!, options.gptaq.alpha), signal),
};

/** P in visiting order. */
function asymmetry(C: Tensor, alpha: number): FeedBack {
  return (ops: Ops, U: Tensor, order: Tensor | null) => {
    const arranged = order ? ops.permuteSquare(C, order, false) : C;
    const CUt = ops.linear(arranged, U);
    if (order) ops.free(arranged);
    ops.keepStrictUpper(CUt);
    ops.scale(CUt, alpha);
    const P = ops.matmul(CUt, U);
    ops.free(CUt);
    return P;
  };
}
