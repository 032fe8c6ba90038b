/** Grids that are found by search: GGUF's signed blocks and super-blocks. Float64. */
import { toF16 } from "../../io/dtype";
import { isSuper, type SearchedKind, superKinds, superSize } from "../grid-kinds";
import type { GridSpec } from "../ops";
import { requireShape } from "../shape";
import type { CpuGrid } from "./grid";
import { signedFit } from "./search";
import { superBlock } from "./super-blocks";
import { type CpuTensor, empty } from "./tensor";

export function searchGrid(W: CpuTensor, spec: GridSpec & { kind: SearchedKind }, importance: CpuTensor | null): CpuGrid {
  const [out, n] = W.shape;
  const { groupSize, kind } = spec;
  const span = isSuper(kind) ? superSize : groupSize;
  requireShape(n % span === 0, "searchGrid", `${W.shape.join(" × ")} in blocks of ${span}`);
  const grid: CpuGrid = { kind, scales: empty([out, n / groupSize]), zeros: empty([out, n / groupSize]) };
  if (isSuper(kind)) grid.factors = empty([out, (2 * n) / superSize]);
  for (let at = 0; at < out * n; at += span) {
    const x = W.data.subarray(at, at + span);
    const w = errorWeights(x, importance?.data.subarray(at % n, (at % n) + span) ?? null, spec.bits);
    if (isSuper(kind)) fillSuper(grid, kind, at / span, x, w);
    else fillSigned(grid, at / span, signedFit(x, w, 2 ** (spec.bits - 1)), spec.bits);
  }
  return grid;
}

function fillSigned({ scales, zeros }: CpuGrid, g: number, scale: number, bits: number): void {
  scales.data[g] = toF16(scale);
  zeros.data[g] = scales.data[g] * 2 ** (bits - 1);
}

function fillSuper(grid: CpuGrid, kind: keyof typeof superKinds, index: number, x: Float64Array, w: Float64Array): void {
  const { groupSize, bits, mins } = superKinds[kind];
  const groups = superSize / groupSize;
  const part = (data: Float64Array, g: number) => data.subarray(g * groupSize, (g + 1) * groupSize);
  const { d, dmin, ...made } = superBlock(
    kind,
    Array.from({ length: groups }, (_, g) => ({ x: part(x, g), w: part(w, g) })),
  );
  grid.factors!.data.set([d, dmin], 2 * index);
  for (let g = 0; g < groups; g++) {
    const S = d * made.scales[g];
    grid.scales.data[index * groups + g] = S;
    grid.zeros.data[index * groups + g] = mins ? dmin * made.mins[g] : S * 2 ** (bits - 1);
  }
}

/** The weight of each weight's squared error. */
function errorWeights(x: Float64Array, importance: Float64Array | null, bits: number): Float64Array {
  const mean = x.reduce((sum, v) => sum + v * v, 0) / x.length;
  if (importance) return x.map((v, i) => importance[i] * Math.sqrt((bits === 4 || bits === 5 ? 2 : 1) * mean + v * v));
  return x.map((v) => Math.sqrt(mean) + Math.abs(v));
}
