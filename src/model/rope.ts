import type { ModelSpec } from "./spec";

/** cos and sin [length, headDim/2] of the rotary embedding, in float64. Llama 3's scaling as in transformers' rope utilities. */
export function ropeTables(spec: ModelSpec, length: number): { cos: Float64Array; sin: Float64Array; half: number } {
  const half = spec.headDim / 2;
  const frequencies = Array.from({ length: half }, (_, i) => scaled(spec, spec.ropeTheta ** (-(2 * i) / spec.headDim)));
  const angle = (_: unknown, i: number) => Math.floor(i / half) * frequencies[i % half];
  const angles = Float64Array.from({ length: length * half }, angle);
  return { cos: angles.map(Math.cos), sin: angles.map(Math.sin), half };
}

function scaled({ ropeScaling: s }: ModelSpec, frequency: number): number {
  if (s.kind === "default") return frequency;
  if (s.kind === "linear") return frequency / s.factor;
  const wavelength = (2 * Math.PI) / frequency;
  const ramp = (s.originalPositions / wavelength - s.lowFrequency) / (s.highFrequency - s.lowFrequency);
  const smooth = Math.min(Math.max(ramp, 0), 1);
  return ((1 - smooth) * frequency) / s.factor + smooth * frequency;
}
