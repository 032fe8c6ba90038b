import type { Shards } from "../io/types";
import type { LinearLayer } from "./layers";

/** Small matrices, tables and heads: no client expects them quantized. A router is called `gate` or `router`; `gate_proj` is none. */
const leftAlone = /(^|\.)(\w*embed\w*|\w*norm\w*|\w*head|wte|wpe|gate|router|vision\w*|visual|audio\w*|\w*conv\w*)(\.|$)/;
const floatDtypes: readonly string[] = ["F32", "F16", "BF16"];
const smallest = 32;

/**
 * The linear layers of an architecture that is not known, by what all share: matrices named `….weight` under a numbered block, such as
 * `transformer.h.3.mlp.c_fc.weight`. `kind` is the name after the number.
 */
export function genericLayers({ tensors }: Shards): LinearLayer[] {
  const layers = [...tensors.values()].flatMap(({ name, shape, dtype }): LinearLayer[] => {
    const match = /^(.*?\.(\d+)\.)(.+)\.weight$/.exec(name);
    if (!match || leftAlone.test(name) || !floatDtypes.includes(dtype)) return [];
    const [out, n] = shape;
    if (shape.length !== 2 || Math.min(out, n) < smallest) return [];
    return [{ name: name.replace(/\.weight$/, ""), kind: match[3], block: Number(match[2]), shape: [out, n] }];
  });
  return layers.sort((a, b) => a.block - b.block);
}

/** Blocks of a model: numbered from 0. */
export const blockCount = (layers: readonly LinearLayer[]): number => layers.reduce((most, l) => Math.max(most, l.block + 1), 0);
