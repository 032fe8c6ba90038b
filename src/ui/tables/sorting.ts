/** Orders of the tables. */
import type { Run } from "../../store/state";
import type { LayerReport } from "../../worker/protocol";
import { runTitle } from "../format";

export interface Sorting<Column extends string> {
  column: Column;
  descending: boolean;
}

type Key = number | string;

export const layerColumns = ["name", "block", "kind", "bits", "alpha", "error", "damping", "ms"] as const;
export type LayerColumn = (typeof layerColumns)[number];

export const layerKeys: Record<LayerColumn, (layer: LayerReport) => Key> = {
  name: (l) => l.name,
  block: (l) => l.block,
  kind: (l) => l.kind,
  bits: (l) => l.bits,
  alpha: (l) => l.alpha,
  error: (l) => l.relativeError,
  damping: (l) => l.damping.at(-1) ?? -1,
  ms: (l) => l.ms,
};

export const runColumns = ["recipe", "delta", "relative", "perplexity", "size", "time"] as const;
export type RunColumn = (typeof runColumns)[number];

const none = Number.POSITIVE_INFINITY;
export const runKeys: Record<RunColumn, (run: Run) => Key> = {
  recipe: runTitle,
  delta: (r) => r.blocks.at(-1)?.delta ?? none,
  relative: (r) => r.blocks.at(-1)?.relativeDelta ?? none,
  perplexity: (r) => r.measured?.evaluation.perplexity ?? none,
  size: (r) => r.bytesOut ?? none,
  time: (r) => r.ms ?? none,
};

/** Stable; null leaves the rows as they are. */
export function sorted<Row, Column extends string>(
  rows: Row[],
  keys: Record<Column, (row: Row) => Key>,
  sorting: Sorting<Column> | null,
): Row[] {
  if (!sorting) return rows;
  const key = keys[sorting.column];
  const sign = sorting.descending ? -1 : 1;
  return rows.toSorted((a, b) => sign * order(key(a), key(b)));
}

function order(a: Key, b: Key): number {
  if (typeof a !== "number") return a.localeCompare(String(b), "en", { numeric: true });
  return a === b ? 0 : a < Number(b) ? -1 : 1;
}
