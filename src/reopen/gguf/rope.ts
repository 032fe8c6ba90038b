/** How a GGUF file's rotary embedding is scaled. */
import { QuantError } from "../../errors";
import { toFloats } from "../../io/dtype";
import { type RopeScaling, yarnMagnitude } from "../../model/rope-settings";
import type { ModelSpec } from "../../model/spec";
import { architectures, type Keys } from "./network";
import type { AnyTensor } from "./parts";

/** @param divisors the tensor rope_freqs. @throws QuantError `unsupported-architecture`, `bad-file`. */
export async function ropeScalingOf(keys: Keys, spec: ModelSpec, divisors: AnyTensor | undefined): Promise<RopeScaling> {
  const id = Object.keys(architectures).find((name) => architectures[name] === spec.architecture)!;
  const at = (name: string) => keys.get(`${id}.rope.scaling.${name}`);
  const kind = at("type") ?? "none";
  const number = (name: string, otherwise: number) => {
    const value = at(name) ?? otherwise;
    if (typeof value === "number" && value > 0 && Number.isFinite(value)) return value;
    throw new QuantError("bad-file", `${id}.rope.scaling.${name} is no number above 0`, "Write the file again.");
  };
  if (divisors && kind === "none") return { kind: "divided", divisors: await divisorsOf(divisors, spec.headDim / 2) };
  if (kind === "none") return { kind: "default" };
  const factor = number("factor", 1);
  if (kind === "linear" && !divisors) return { kind, factor };
  if (kind !== "yarn" || divisors)
    throw new QuantError(
      "unsupported-architecture",
      `rope scaling of type ${String(kind).slice(0, 20)}`,
      "Types linear and yarn, and divisors, can be run.",
    );
  return {
    kind,
    factor,
    betaFast: number("yarn_beta_fast", 32),
    betaSlow: number("yarn_beta_slow", 1),
    originalPositions: number("original_context_length", spec.maxPositions),
    attentionFactor: yarnMagnitude(factor) * number("attn_factor", 1),
    truncate: true,
  };
}

async function divisorsOf({ type, shape, start, end, file }: AnyTensor, count: number): Promise<Float32Array> {
  const values = type === "F32" && shape.join() === String(count) ? toFloats(await file.read(start, end), "F32") : new Float32Array(0);
  if (values.length === count && values.every((x) => x > 0 && Number.isFinite(x))) return values;
  throw new QuantError("bad-file", `rope_freqs.weight is no list of ${count} numbers above 0`, "Write the file again.");
}
