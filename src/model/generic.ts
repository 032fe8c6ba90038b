import type { Shards } from "../io/types";
import type { LinearLayer } from "./layers";
import { mostBlocks } from "./spec";

/** Parts of the names of matrices that no client expects quantized: embeddings, heads, routers (`gate`, not `gate_proj`), vision and audio towers. */
const leftAlone = /embed|norm|head$|^wte$|^wpe$|^gate$|^router$|^vision|^visual$|^audio|conv/;
const floatDtypes: readonly string[] = ["F32", "F16", "BF16"];
const smallest = 32;
/** Real names in files are far shorter. */
const longest = 300;

/**
 * The linear layers of an unknown architecture, recognised by what all architectures share: matrices named `….weight` under a numbered block, such as
 * `transformer.h.3.mlp.c_fc.weight`. `kind` is the name after the number; where there are several stacks (encoder, decoder), it begins with the stack's.
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

/** How many blocks a model with these layers has; blocks are numbered from 0. */
export const blockCount = (layers: readonly LinearLayer[]): number => layers.reduce((most, l) => Math.max(most, l.block + 1), 0);
