import type { Shards } from "../io/types";
import type { LinearLayer } from "./layers";

/** Parts of names of small matrices, tables, heads and other towers: no client expects them quantized. A router is `gate` or `router`; `gate_proj` is none. */
const leftAlone = /embed|norm|head$|^wte$|^wpe$|^gate$|^router$|^vision|^visual$|^audio|conv/;
const floatDtypes: readonly string[] = ["F32", "F16", "BF16"];
const smallest = 32;
/** Names are a stranger's: real ones are far shorter, and no model has so many blocks. */
const longest = 300;
const mostBlocks = 10_000;

/**
 * The linear layers of an architecture that is not known, by what all share: matrices named `….weight` under a numbered block, such as
 * `transformer.h.3.mlp.c_fc.weight`. `kind` is the name after the number; where there are several stacks (encoder, decoder), what is before it too.
 */
export function genericLayers({ tensors }: Shards): LinearLayer[] {
  const found = [...tensors.values()].flatMap(({ name, shape, dtype }) => {
    const place = placeOf(name);
    const [out, n] = shape;
    if (!place || !floatDtypes.includes(dtype) || shape.length !== 2 || Math.min(out, n) < smallest) return [];
    return [{ ...place, shape: [out, n] as const }];
  });
  const stacks = new Set(found.map((layer) => layer.stack));
  const layers = found.map(({ stack, ...layer }) => (stacks.size > 1 ? { ...layer, kind: `${stack}…${layer.kind}` } : layer));
  return layers.sort((a, b) => a.block - b.block);
}

function placeOf(name: string): { name: string; stack: string; block: number; kind: string } | null {
  if (name.length > longest || !name.endsWith(".weight")) return null;
  const parts = name.split(".").slice(0, -1);
  const at = parts.findIndex((part, i) => i > 0 && /^\d{1,4}$/.test(part));
  if (at < 0 || at === parts.length - 1 || Number(parts[at]) >= mostBlocks || parts.some((part) => leftAlone.test(part))) return null;
  return {
    name: parts.join("."),
    stack: parts.slice(0, at).join("."),
    block: Number(parts[at]),
    kind: parts.slice(at + 1).join("."),
  };
}

/** Blocks of a model: numbered from 0. */
export const blockCount = (layers: readonly LinearLayer[]): number => layers.reduce((most, l) => Math.max(most, l.block + 1), 0);
