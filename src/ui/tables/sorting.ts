import type { LayerReport } from "../../worker/protocol";

export const columns = ["name", "block", "kind", "bits", "alpha", "error", "damping", "ms"] as const;
export type Column = (typeof columns)[number];

export interface Sorting {
  column: Column;
  descending: boolean;
}

const keys: Record<Column, (layer: LayerReport) => number | string> = {
  name: (l) => l.name,
  block: (l) => l.block,
  kind: (l) => l.kind,
  bits: (l) => l.bits,
  alpha: (l) => l.alpha,
  error: (l) => l.relativeError,
  damping: (l) => l.damping.at(-1) ?? -1,
  ms: (l) => l.ms,
};

/** Stable; null leaves the layers in the order they were quantized. */
export function sorted(layers: LayerReport[], sorting: Sorting | null): LayerReport[] {
  if (!sorting) return layers;
  const key = keys[sorting.column];
  const sign = sorting.descending ? -1 : 1;
  return layers.toSorted((a, b) => sign * order(key(a), key(b)));
}

function order(a: number | string, b: number | string): number {
  return typeof a === "number" ? a - Number(b) : a.localeCompare(String(b), "en", { numeric: true });
}
