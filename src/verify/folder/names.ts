/** Names and shapes of tensors beside those that config.json implies. */

import { isFloat } from "../../io/dtype";
import { shown } from "../../io/text";
import type { Shards } from "../../io/types";
import { expectedTensors, linearLayers } from "../../model/checkpoint";
import { headName } from "../../model/layers";
import { packedParts, packedTensors } from "../../model/packing";
import type { ModelSpec } from "../../model/spec";
import type { CheckJob } from "../job";
import type { Said } from "./config";
import type { PackedName } from "./layers";

/** Checks every tensor's name, shape and dtype. Returns the packed layers that can be read. */
export function checkNames(job: CheckJob, said: Said, shards: Shards, packed: readonly PackedName[]): PackedName[] {
  const sound = packed.filter((layer) => checkPacked(job, said, shards, layer));
  if (!said.spec) return sound;
  const packedSet = new Set(packed.map(({ name }) => `${name}.weight`));
  const floats = [
    ...expectedTensors(said.spec),
    ...linearLayers(said.spec).map(({ name, shape }): [string, readonly number[]] => [`${name}.weight`, shape]),
  ];
  for (const [name, shape] of floats) if (!packedSet.has(name)) checkFloats(job, shards, name, shape);
  checkStrays(job, said, said.spec, shards, packed);
  return sound;
}

const wrongShape = "Tensors do not have the shape that config.json implies.";
const missing = "Tensors are missing.";

function checkFloats({ findings }: CheckJob, shards: Shards, name: string, shape: readonly number[]): void {
  const tensor = shards.tensors.get(name);
  if (!tensor) findings.join("error", "missing-tensor", missing, name);
  else if (tensor.shape.join() !== shape.join())
    findings.join("error", "wrong-shape", wrongShape, `${name} (${tensor.shape.join(" × ")}, not ${shape.join(" × ")})`);
  else if (!isFloat(tensor.dtype)) findings.join("error", "wrong-dtype", "Weights are no floats.", `${name} (${tensor.dtype})`);
}

/** Whether a layer's parts are as its settings say. */
function checkPacked({ findings }: CheckJob, { packing }: Said, shards: Shards, { name, shape }: PackedName): boolean {
  if (!shape?.every((d) => Number.isSafeInteger(d) && d > 0)) {
    findings.join("error", "wrong-shape", "The parts of packed layers do not fit the bits and groups that config.json names.", name);
    return false;
  }
  let isSound = true;
  try {
    for (const [part, expected] of packedTensors(packing!, shards, name, shape)) {
      const full = `${name}.${part}`;
      const tensor = shards.tensors.get(full);
      if (!tensor && expected.optional) continue;
      isSound &&= tensor !== undefined && tensor.shape.join() === expected.shape.join() && expected.dtypes.includes(tensor.dtype);
      if (!tensor) findings.join("error", "missing-tensor", missing, full);
      else if (tensor.shape.join() !== expected.shape.join())
        findings.join("error", "wrong-shape", wrongShape, `${full} (${tensor.shape.join(" × ")}, not ${expected.shape.join(" × ")})`);
      else if (!expected.dtypes.includes(tensor.dtype))
        findings.join(
          "error",
          "wrong-dtype",
          `Parts of packed layers are not of the type that they should be.`,
          `${full} (${tensor.dtype})`,
        );
    }
  } catch (cause) {
    findings.failed(cause, name, "wrong-shape");
    return false;
  }
  return isSound;
}

/** Tensors that the architecture has no place for. */
function checkStrays({ findings }: CheckJob, { packing }: Said, spec: ModelSpec, shards: Shards, packed: readonly PackedName[]): void {
  const own = new Set([...expectedTensors(spec)].map(([name]) => name)).add(headName);
  const each = ["weight", "bias", ...(packing ? packedParts(packing) : [])];
  for (const { name } of [...linearLayers(spec), ...packed.filter((l) => !/\.layers\./.test(l.name))])
    for (const part of each) own.add(`${name}.${part}`);
  for (const name of shards.tensors.keys()) {
    if (own.has(name) || name.endsWith(".rotary_emb.inv_freq")) continue;
    const block = Number(/\.layers\.(\d+)\./.exec(name)?.[1] ?? -1);
    if (block >= spec.blocks)
      findings.join("error", "unexpected-tensor", `There are blocks beyond the ${spec.blocks} that config.json names.`, name);
    else
      findings.join(
        "warning",
        "unexpected-tensor",
        `There are tensors that ${shown(spec.architecture)} has no place for; clients ignore them or refuse.`,
        name,
      );
  }
}
