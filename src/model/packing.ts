/** Packed checkpoints, ours or other programs': which scheme they are of, and how a layer is read. A new scheme is one file in packings/ and one line here. */
import { QuantError } from "../errors";
import type { Shards } from "../io/types";
import type { PackedMatrix } from "../ops/packed";
import { type AwqPacking, awq } from "./packings/awq";
import { type CompressedTensorsPacking, compressedTensors } from "./packings/compressed-tensors";
import { type GptqPacking, gptq } from "./packings/gptq";
import { type MlxPacking, mlx } from "./packings/mlx";
import { type Json, type PackedTensor, type Scheme, shownValue, unsupported } from "./packings/scheme";

/** How a checkpoint's linear layers are packed, as its config declares it. */
export type Packing = GptqPacking | AwqPacking | CompressedTensorsPacking | MlxPacking;

const schemes = { gptq, awq, "compressed-tensors": compressedTensors, mlx };
const schemeOf = (packing: Packing) => schemes[packing.scheme] as Scheme<Packing>;

/**
 * Reads the packing from an untrusted config.json; null where it names none. MLX calls its settings `quantization`, and repeats them.
 * @throws QuantError `unsupported-architecture` naming what cannot be read, `bad-config`.
 */
export function parsePacking(config: Json): Packing | null {
  const settings = config.quantization_config ?? config.quantization;
  if (settings === undefined || settings === null) return null;
  if (typeof settings !== "object" || Array.isArray(settings))
    throw new QuantError("bad-config", "config.json: quantization_config is not an object");
  for (const scheme of Object.values(schemes)) {
    const packing = scheme.parse(settings as Json);
    if (packing) return packing;
  }
  throw unsupported(`quant_method is ${shownValue((settings as Json).quant_method)}`);
}

/** For people: "GPTQ 4-bit, groups of 64". */
export const packingTitle = (packing: Packing): string => schemeOf(packing).title(packing);

/** The last names of a packed layer's tensors. */
export const packedParts = (packing: Packing): readonly string[] => schemeOf(packing).parts;

/** Whether a layer is packed: single layers may have been left as floats. */
export function isPacked({ tensors }: Shards, packing: Packing | null, name: string): packing is Packing {
  if (!packing) return false;
  // MLX's packed weight goes by a float's name.
  return packing.scheme === "mlx" ? tensors.has(`${name}.scales`) : !tensors.has(`${name}.weight`);
}

/** The tensors of a packed [out, in] layer by their last names. @throws QuantError `wrong-shape`. */
export const packedTensors = (packing: Packing, shards: Shards, name: string, shape: readonly [number, number]): [string, PackedTensor][] =>
  Object.entries(schemeOf(packing).tensors(packing, shards, name, shape));

/**
 * One packed layer. @param name of the layer, without ".weight". @param shape [out, in].
 * @throws QuantError `non-finite-weights`, `contradiction`.
 */
export const readPacked = (shards: Shards, name: string, shape: readonly [number, number], packing: Packing): Promise<PackedMatrix> =>
  schemeOf(packing).read(packing, shards, name, shape);
