/** Exports that keep the source's names, as a Hugging Face folder does. */
import { QuantError } from "../../errors";
import { toF16Words } from "../../io/dtype";
import { type GridKind, gridKinds } from "../../ops/grid-kinds";
import type { Coded, PackedLayer } from "../../quant/coded";
import type { LayerPlan } from "../../quant/layer-plan";
import type { EntrySpec } from "../containers/container";
import type { Entry, ExportJob } from "./format";

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
 */
export function inSourceOrder(
  { model, plan, changes }: ExportJob,
  layerEntries: (layer: RoundedPlan, wide: boolean) => LayerEntry[],
): Entry[] {
  const layers = new Map([...plan.layers, ...plan.tables].map((layer): [string, RoundedPlan] => [layer.name, layer]));
  return [...model.shards.tensors.values()].flatMap(({ name, dtype, shape }): Entry[] => {
    const layer = name.endsWith(".weight") && layers.get(name.replace(/\.weight$/, ""));
    const wide = changes.wide.has(name);
    if (changes.replaced.has(name)) return [foldedEntry(name, shape, wide)];
    if (!layer) return [{ spec: { name, dtype, shape }, copies: name, bytes: (parts) => parts.copy(name) }];
    return layerEntries(layer, wide).map(({ spec, bytes }) => ({
      spec,
      copies: null,
      async *bytes(parts) {
        yield* bytes(await parts.layer(layer.name));
      },
    }));
  });
}

const foldedEntry = (name: string, shape: readonly number[], wide: boolean): Entry => ({
  spec: { name, dtype: wide ? "F32" : "F16", shape },
  copies: null,
  *bytes(parts) {
    const values = parts.folded(name);
    yield new Uint8Array(wide ? values.slice().buffer : toF16Words(values).buffer);
  },
});

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

/** config.json with the dtype of what is written: clients that load in the config's dtype must not round f16 to bf16 again, nor f32 to f16. */
export function withDtype(source: Record<string, unknown>, dtype: "float16" | "float32"): Record<string, unknown> {
  const { quantization_config: _, dtype: __, ...rest } = source;
  return { ...rest, torch_dtype: dtype };
}
