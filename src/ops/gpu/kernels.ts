import add from "../../../shaders/add.wgsl?raw";
import addBias from "../../../shaders/add_bias.wgsl?raw";
import addExactly from "../../../shaders/add_exactly.wgsl?raw";
import affine from "../../../shaders/affine.wgsl?raw";
import choleskyBlock from "../../../shaders/cholesky_block.wgsl?raw";
import clip from "../../../shaders/clip.wgsl?raw";
import clipChoice from "../../../shaders/clip_choice.wgsl?raw";
import columnSums from "../../../shaders/column_sums.wgsl?raw";
import copyBlock from "../../../shaders/copy_block.wgsl?raw";
import crossEntropy from "../../../shaders/cross_entropy.wgsl?raw";
import damp from "../../../shaders/damp.wgsl?raw";
import deadInputs from "../../../shaders/dead_inputs.wgsl?raw";
import decode from "../../../shaders/decode.wgsl?raw";
import diagonal from "../../../shaders/diagonal.wgsl?raw";
import diagonalMean from "../../../shaders/diagonal_mean.wgsl?raw";
import diagonalRank from "../../../shaders/diagonal_rank.wgsl?raw";
import divergence from "../../../shaders/divergence.wgsl?raw";
import encode from "../../../shaders/encode.wgsl?raw";
import grid from "../../../shaders/grid.wgsl?raw";
import groupFits from "../../../shaders/group_fits.wgsl?raw";
import keepTriangle from "../../../shaders/keep_triangle.wgsl?raw";
import matmul from "../../../shaders/matmul.wgsl?raw";
import matmulQuad from "../../../shaders/matmul_quad.wgsl?raw";
import mirror from "../../../shaders/mirror.wgsl?raw";
import mirrorBelow from "../../../shaders/mirror_below.wgsl?raw";
import packBits from "../../../shaders/pack_bits.wgsl?raw";
import permuteColumns from "../../../shaders/permute_columns.wgsl?raw";
import permuteSquare from "../../../shaders/permute_square.wgsl?raw";
import rmsNorm from "../../../shaders/rms_norm.wgsl?raw";
import rope from "../../../shaders/rope.wgsl?raw";
import roundColumns from "../../../shaders/round_columns.wgsl?raw";
import scale from "../../../shaders/scale.wgsl?raw";
import scaleBy from "../../../shaders/scale_by.wgsl?raw";
import f16Near from "../../../shaders/shared/f16_near.wgsl?raw";
import fitting from "../../../shaders/shared/fitting.wgsl?raw";
import gridCode from "../../../shaders/shared/grid_code.wgsl?raw";
import matmulParams from "../../../shaders/shared/matmul_params.wgsl?raw";
import nearExp from "../../../shaders/shared/near_exp.wgsl?raw";
import roundQuotient from "../../../shaders/shared/round_quotient.wgsl?raw";
import rowReduction from "../../../shaders/shared/row_reduction.wgsl?raw";
import twoSum from "../../../shaders/shared/two_sum.wgsl?raw";
import signedPoints from "../../../shaders/signed_points.wgsl?raw";
import softmax from "../../../shaders/softmax.wgsl?raw";
import sums from "../../../shaders/sums.wgsl?raw";
import superFactors from "../../../shaders/super_factors.wgsl?raw";
import superPoints from "../../../shaders/super_points.wgsl?raw";
import swiglu from "../../../shaders/swiglu.wgsl?raw";
import triangleInverse from "../../../shaders/triangle_inverse.wgsl?raw";
import unpack from "../../../shaders/unpack.wgsl?raw";
import unpackBits from "../../../shaders/unpack_bits.wgsl?raw";
import zeroColumns from "../../../shaders/zero_columns.wgsl?raw";
import { joinAll } from "./join";

/** Pieces that several kernels share, by the names in their "uses" lines: code that decides bits is written once. */
export const shared = {
  f16_near: f16Near,
  fitting,
  grid_code: gridCode,
  matmul_params: matmulParams,
  near_exp: nearExp,
  round_quotient: roundQuotient,
  row_reduction: rowReduction,
  two_sum: twoSum,
} as const;

const sources = {
  add,
  addBias,
  addExactly,
  choleskyBlock,
  copyBlock,
  crossEntropy,
  damp,
  deadInputs,
  decode,
  diagonalMean,
  encode,
  grid,
  groupFits,
  matmul,
  matmulQuad,
  mirror,
  mirrorBelow,
  diagonalRank,
  divergence,
  packBits,
  permuteColumns,
  permuteSquare,
  roundColumns,
  unpackBits,
  rmsNorm,
  rope,
  scale,
  softmax,
  affine,
  clip,
  clipChoice,
  columnSums,
  diagonal,
  scaleBy,
  keepTriangle,
  signedPoints,
  sums,
  superFactors,
  superPoints,
  swiglu,
  triangleInverse,
  unpack,
  zeroColumns,
} as const;

/** Every kernel by name, with the shared pieces that it uses. Only this file imports shaders/. */
export const kernels = joinAll(sources, shared);

export type KernelName = keyof typeof kernels;

/** How each storage buffer of a kernel is bound, in binding order; read from the source so that the two cannot drift apart. */
export function bindingsOf(source: string): GPUBufferBindingType[] {
  const found = [...source.matchAll(/@group\(0\) @binding\((\d+)\) var<storage, (read|read_write)>/g)];
  const types: GPUBufferBindingType[] = [];
  for (const [, index, access] of found) types[Number(index)] = access === "read" ? "read-only-storage" : "storage";
  return types;
}
