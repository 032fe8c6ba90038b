/** How the tables are sorted. */

import type { LayerReport } from "../../results/report";
import { measuredOn } from "../../store/measuring";
import type { Run } from "../../store/state";
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

const none = Number.POSITIVE_INFINITY;

/** What the runs are sorted by: one of their own columns, or "delta ", "perplexity " or "kl " followed by a text's key. */
export function runKeys(texts: readonly string[]): Record<string, (run: Run) => Key> {
  return {
    recipe: runTitle,
    delta: (r) => r.blocks.at(-1)?.delta ?? none,
    size: (r) => r.bytesOut ?? none,
    time: (r) => r.ms ?? none,
    ...Object.fromEntries(
      texts.flatMap((key) => [
        [`delta ${key}`, (r: Run) => measuredOn(r, key)?.evaluation.blocks.at(-1)?.delta ?? none],
        [`perplexity ${key}`, (r: Run) => measuredOn(r, key)?.evaluation.perplexity ?? none],
        [`kl ${key}`, (r: Run) => measuredOn(r, key)?.evaluation.divergence.kl.mean ?? none],
      ]),
    ),
  };
}

/** Stable; null, or a column that is gone, leaves the rows as they are. */
export function sorted<Row, Column extends string>(
  rows: Row[],
  keys: Record<Column, (row: Row) => Key>,
  sorting: Sorting<Column> | null,
): Row[] {
  if (!sorting || !Object.hasOwn(keys, sorting.column)) return rows;
  const key = keys[sorting.column];
  const sign = sorting.descending ? -1 : 1;
  return rows.toSorted((a, b) => sign * order(key(a), key(b)));
}

function order(a: Key, b: Key): number {
  if (typeof a !== "number") return a.localeCompare(String(b), "en", { numeric: true });
  return a === b ? 0 : a < Number(b) ? -1 : 1;
}
