/** Exports that keep the source's names, as a Hugging Face folder does. */
import { QuantError } from "../../errors";
import { convertFloats, type FloatDtype, isFloat } from "../../io/dtype";
import type { TensorInfo } from "../../io/types";
import { type GridKind, gridKinds } from "../../ops/grid-kinds";
import type { Coded, PackedLayer } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { EntrySpec } from "../containers/container";
import { type Entry, type ExportJob, isWeight } from "./format";

/** A layer, or a table, that is rounded. */
export type RoundedPlan = Pick<LayerPlan, "name" | "shape" | "grid">;

/** A tensor of a quantized layer. */
export interface LayerEntry {
  readonly spec: EntrySpec;
  bytes(layer: Coded): Iterable<Uint8Array>;
}

/**
 * The source's tensors in its order. A quantized layer's come where its weight was; what a fold changed is f16, or f32 where f16 cannot hold it.
 * @param layerEntries the tensors of one layer; `wide`: in f32, because f16 cannot hold them, which is never asked of a packed format.
 * @param floats the dtype of every other weight, whatever it was in the source or a fold made of it; without it the source's stay as they are.
 * @param isLeftOut names of tensors that do not come into the export.
 */
export function inSourceOrder(
  { model, plan, changes }: ExportJob,
  layerEntries: (layer: RoundedPlan, wide: boolean) => LayerEntry[],
  floats?: FloatDtype,
  isLeftOut: (name: string) => boolean = () => false,
): Entry[] {
  const layers = new Map([...plan.layers, ...plan.tables].map((layer): [string, RoundedPlan] => [layer.name, layer]));
  return [...model.shards.tensors.values()].flatMap((tensor): Entry[] => {
    const { name, shape } = tensor;
    if (isLeftOut(name)) return [];
    const layer = name.endsWith(".weight") && layers.get(name.replace(/\.weight$/, ""));
    const wide = changes.wide.has(name);
    if (changes.replaced.has(name)) return [foldedEntry(name, shape, floats ?? (wide ? "F32" : "F16"))];
    if (!layer) return [copiedEntry(tensor, floats)];
    return layerEntries(layer, wide).map(({ spec, bytes }) => ({
      spec,
      copies: null,
      async *bytes(parts) {
        yield* bytes(await parts.layer(layer.name));
      },
    }));
  });
}

const foldedEntry = (name: string, shape: readonly number[], dtype: FloatDtype): Entry => ({
  spec: { name, dtype, shape },
  copies: null,
  *bytes(parts) {
    yield convertFloats(new Uint8Array(parts.folded(name).slice().buffer), "F32", dtype);
  },
});

function copiedEntry({ name, dtype, shape }: TensorInfo, floats: FloatDtype | undefined): Entry {
  if (!floats || !isWeight(name) || !isFloat(dtype))
    return { spec: { name, dtype, shape }, copies: name, bytes: (parts) => parts.copy(name) };
  return {
    spec: { name, dtype: floats, shape },
    copies: name,
    async *bytes(parts) {
      for await (const part of parts.copy(name)) yield convertFloats(part, dtype, floats);
    },
  };
}

/** A layer that must be on a grid. @throws QuantError `internal`, as the plan was checked. */
export function packedOf(layer: Coded): PackedLayer {
  if (layer.kind === "dense") throw new QuantError("internal", `${layer.name} is on no grid`);
  return layer;
}

/** A layer that must be on a grid of this kind. @throws QuantError `internal`, as the plan was checked. */
export function onGrid(layer: Coded, kind: GridKind): PackedLayer {
  const packed = packedOf(layer);
  if (packed.gridKind !== kind) throw new QuantError("internal", `${layer.name} is on a grid with ${gridKinds[packed.gridKind].label}`);
  return packed;
}

/** Makes tensors of a layer whose zeros must be integers: `NAME.part` with bytes from the layer. */
export const integerEntry =
  (name: string) =>
  (part: string, dtype: string, shape: number[], bytes: (layer: PackedLayer) => Iterable<Uint8Array>): LayerEntry => ({
    spec: { name: `${name}.${part}`, dtype, shape },
    bytes: (layer) => bytes(onGrid(layer, "integer-zero")),
  });

/** config.json without the name of the source's weight file, which transformers would look for. */
export function withoutFileName({ transformers_weights: _, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

/** config.json with the dtype of what is written: clients that load in the config's dtype must not round f16 to bf16 again, nor f32 to f16. */
export function withDtype(source: Record<string, unknown>, dtype: "float16" | "bfloat16" | "float32"): Record<string, unknown> {
  const { quantization_config: _, dtype: __, ...rest } = withoutFileName(source);
  return { ...rest, torch_dtype: dtype };
}
