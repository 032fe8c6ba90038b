/** Which packed layers a folder holds, whatever the architecture. */
import { QuantError } from "../../errors";
import type { Shards } from "../../io/types";
import { linearLayers } from "../../model/checkpoint";
import { isPacked, type Packing } from "../../model/packing";
import { groupCount } from "../../model/packings/gptq";
import type { Said } from "./config";

export interface PackedName {
  readonly name: string;
  /** [out, in]; null where the tensors do not tell. */
  readonly shape: readonly [number, number] | null;
}

const parts: Readonly<Record<Packing["scheme"], string>> = {
  gptq: ".qweight",
  awq: ".qweight",
  "compressed-tensors": ".weight_packed",
  mlx: ".scales",
};

/** Every layer that is packed, or should be: those of a known architecture with the shapes that config.json implies, others with what their tensors tell. */
export async function packedNames({ spec, packing }: Said, shards: Shards): Promise<PackedName[]> {
  if (!packing) return [];
  const known = new Map<string, PackedName>();
  for (const { name, shape } of spec ? linearLayers(spec) : []) if (isPacked(shards, packing, name)) known.set(name, { name, shape });
  const last = parts[packing.scheme];
  for (const tensor of shards.tensors.keys()) {
    const name = tensor.slice(0, -last.length);
    if (tensor.endsWith(last) && !known.has(name)) known.set(name, { name, shape: await shapeIn(packing, shards, name) });
  }
  return [...known.values()];
}

async function shapeIn(packing: Packing, shards: Shards, name: string): Promise<readonly [number, number] | null> {
  const at = (part: string) => shards.tensors.get(`${name}.${part}`)?.shape;
  switch (packing.scheme) {
    case "gptq": {
      const [[words, out], [groups]] = [at("qweight")!, at("scales") ?? []];
      const n = packing.bits
        .map((bits) => (32 * words) / bits)
        .find((inputs) => packing.bits.length === 1 || packing.groupSizes.some((size) => groupCount(size, inputs) === groups));
      return n === undefined ? null : [out, n];
    }
    case "awq": {
      const [n, words] = at("qweight")!;
      return [8 * words, n];
    }
    case "compressed-tensors":
      return shapeOf(shards, name);
    case "mlx": {
      const [[out, words], [, groups]] = [at("weight") ?? [], at("scales") ?? []];
      const n = packing.bits.map((bits) => (32 * words) / bits).find((columns) => packing.groupSizes.includes(columns / groups));
      return n === undefined ? null : [out, n];
    }
  }
}

/** compressed-tensors' weight_shape. @throws QuantError `wrong-shape`. */
async function shapeOf(shards: Shards, name: string): Promise<readonly [number, number] | null> {
  const tensor = shards.tensors.get(`${name}.weight_shape`);
  if (!tensor) return null;
  if (tensor.dtype !== "I64" || tensor.shape.join() !== "2") throw new QuantError("wrong-shape", `${name}.weight_shape is no pair of I64`);
  const [out, n] = new BigInt64Array(new Uint8Array(await shards.readTensor(tensor.name)).buffer);
  return [Number(out), Number(n)];
}

/** Whether compressed-tensors' weight_shape says what the layer has. */
export async function saysItsShape(shards: Shards, name: string, shape: readonly [number, number]): Promise<boolean> {
  return (await shapeOf(shards, name))?.join() === shape.join();
}
