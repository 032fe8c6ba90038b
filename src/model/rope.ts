import type { RopeScaling } from "./rope-settings";
import type { ModelSpec } from "./spec";

/**
 * cos and sin [rows, headDim/2] of the rotary embedding, in float64, as transformers' rope utilities compute them for a sequence of that length.
 * @param rows the positions that are wanted, of `length`.
 */
export function ropeTables(
  spec: ModelSpec,
  length: number,
  { from, to } = { from: 0, to: length },
): { cos: Float64Array; sin: Float64Array; half: number } {
  const half = spec.headDim / 2;
  const frequencies = frequenciesOf(spec, length);
  const angle = (_: unknown, i: number) => (from + Math.floor(i / half)) * frequencies[i % half];
  const angles = Float64Array.from({ length: (to - from) * half }, angle);
  const factor = ropeMagnitude(spec);
  return { cos: angles.map((x) => factor * Math.cos(x)), sin: angles.map((x) => factor * Math.sin(x)), half };
}

/** Factor of cos and sin. */
export const ropeMagnitude = ({ ropeScaling: s }: ModelSpec): number => (s.kind === "yarn" ? s.attentionFactor : 1);

/** The angle per position of each pair of dimensions in a sequence of that length, in radians: [headDim/2]. */
export function frequenciesOf(spec: ModelSpec, length: number): number[] {
  const { ropeScaling: s, headDim } = spec;
  const base = s.kind === "dynamic" ? dynamicBase(spec, s.factor, length) : spec.ropeTheta;
  const plain = Array.from({ length: headDim / 2 }, (_, i) => base ** (-(2 * i) / headDim));
  switch (s.kind) {
    case "default":
    case "dynamic":
      return plain;
    case "linear":
      return plain.map((f) => f / s.factor);
    case "divided":
      return plain.map((f, i) => f / s.divisors[i]);
    case "llama3":
      return plain.map((f) => llama3(s, f));
    case "yarn":
      return yarn(s, plain, base, headDim);
  }
}

/** By what Llama 3's scaling divides each pair's angle: [headDim/2]; null for any other. */
export function ropeDivisors(spec: ModelSpec): Float32Array | null {
  const { ropeScaling: s, ropeTheta, headDim } = spec;
  if (s.kind !== "llama3") return null;
  const scaled = frequenciesOf(spec, 1);
  return Float32Array.from(scaled, (f, i) => ropeTheta ** (-(2 * i) / headDim) / f);
}

/** Dynamic NTK scaling: the trained base up to the trained length, a larger one for longer sequences. */
function dynamicBase({ ropeTheta, headDim, maxPositions }: ModelSpec, factor: number, length: number): number {
  const stretch = (factor * Math.max(length, maxPositions)) / maxPositions - (factor - 1);
  return ropeTheta * stretch ** (headDim / (headDim - 2));
}

/** Low frequencies are divided, high ones stay, and those between are blended. Tested in transformers' order, which matters where the limits are swapped. */
function llama3(s: Extract<RopeScaling, { kind: "llama3" }>, frequency: number): number {
  const rotations = (s.originalPositions * frequency) / (2 * Math.PI);
  if (rotations < s.lowFrequency) return frequency / s.factor;
  if (rotations > s.highFrequency) return frequency;
  const smooth = (rotations - s.lowFrequency) / (s.highFrequency - s.lowFrequency);
  return ((1 - smooth) * frequency) / s.factor + smooth * frequency;
}

/** High frequencies stay, low ones are divided, and between two dimensions there is a linear ramp (Peng et al., YaRN). */
function yarn(s: Extract<RopeScaling, { kind: "yarn" }>, plain: readonly number[], base: number, headDim: number): number[] {
  const dimensionOf = (rotations: number) => (headDim * Math.log(s.originalPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(base));
  const [from, to] = [dimensionOf(s.betaFast), dimensionOf(s.betaSlow)];
  const low = Math.max(s.truncate ? Math.floor(from) : from, 0);
  const high = Math.min(s.truncate ? Math.ceil(to) : to, headDim - 1);
  const width = high === low ? 0.001 : high - low;
  return plain.map((f, i) => {
    const divided = Math.min(Math.max((i - low) / width, 0), 1);
    return (f / s.factor) * divided + f * (1 - divided);
  });
}
