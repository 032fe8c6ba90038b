/** Grids that are found by search: GGUF's signed blocks and super-blocks. */
import { isSuper, type SearchedKind, superKinds, superSize } from "../grid-kinds";
import type { Grid, GridSpec } from "../ops";
import { dims, isMatrix, requireShape } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";

export function searchGrid(gpu: Gpu, W: GpuTensor, spec: GridSpec & { kind: SearchedKind }, importance: GpuTensor | null): Grid {
  const [out, n] = W.shape;
  const { kind, bits, groupSize } = spec;
  const span = isSuper(kind) ? superSize : groupSize;
  requireShape(isMatrix(W) && groupSize > 0 && groupSize <= 64 && n % span === 0, "searchGrid", `${dims(W)} in blocks of ${span}`);
  requireShape(!importance || importance.shape.join() === String(n), "searchGrid", `${dims(W)} with ${importance ? dims(importance) : ""}`);
  const groups = n / groupSize;
  const [fits, scales, zeros] = [gpu.make([out, 4 * groups]), gpu.make([out, groups]), gpu.make([out, groups])];
  const fitting = {
    SIZE: groupSize,
    SPAN: span,
    TOP: 2 ** bits - 1,
    IMPORTANCE: importance ? 1 : 0,
    DOUBLE: bits === 4 || bits === 5 ? 1 : 0,
  };
  const signed = !isSuper(kind) || !superKinds[kind].mins;
  gpu.rowwise([W, fits], (at, { count }) =>
    gpu.each("groupFits", count * groups, {
      constants: { ...fitting, SIGNED: signed ? 1 : 0 },
      bind: [at(W), importance ?? at(W), at(fits)],
      u32: [count * groups, n],
      // 19 or 37 candidates, each looked at twice.
      work: (signed ? 500 : 900) * count * n,
    }),
  );
  if (isSuper(kind)) {
    const factors = superPoints(gpu, { W, importance, fits, scales, zeros }, kind, fitting);
    gpu.free(fits);
    return { kind, scales, zeros, factors };
  }
  gpu.rowwise([fits, scales, zeros], (at, { count }) =>
    gpu.each("signedPoints", count * groups, { bind: [fits, scales, zeros].map(at), u32: [count * groups, 2 ** (bits - 1)] }),
  );
  gpu.free(fits);
  return { kind, scales, zeros };
}

interface Parts {
  W: GpuTensor;
  importance: GpuTensor | null;
  fits: GpuTensor;
  scales: GpuTensor;
  zeros: GpuTensor;
}

/** Fills scales and zeros; the factors are new. */
function superPoints(gpu: Gpu, parts: Parts, kind: keyof typeof superKinds, fitting: Record<string, number>): GpuTensor {
  const { W, importance, fits, scales, zeros } = parts;
  const [out, n] = W.shape;
  const { groupSize, scales: bounds, mins } = superKinds[kind];
  const [blocks, groups] = [n / superSize, n / groupSize];
  const factors = gpu.make([out, 2 * blocks]);
  const shape = { GROUPS: superSize / groupSize, WITH_MINS: mins ? 1 : 0 };
  gpu.rowwise([fits, factors], (at, { count }) =>
    gpu.each("superFactors", count * blocks, {
      constants: { ...shape, MOST: mins ? bounds[1] : -bounds[0] },
      bind: [fits, factors].map(at),
      u32: [count * blocks],
      work: 200 * count * groups,
    }),
  );
  gpu.rowwise([W, fits, factors, scales, zeros], (at, { count }) =>
    gpu.each("superPoints", count * groups, {
      constants: { ...fitting, ...shape, BELOW: -bounds[0], MOST: bounds[1] },
      bind: [at(W), importance ?? at(W), at(fits), at(factors), at(scales), at(zeros)],
      u32: [count * groups, n],
      work: 150 * count * n,
    }),
  );
  return factors;
}
