/** Scales that AWQ puts from a layer's inputs into the outputs of the layer before it, within a block: up into down, v into o. */
import type { Findings } from "./findings";
import type { Side } from "./sums";

/** What a kind of layer may be scaled by without a norm's telling. */
const sides: Readonly<Record<string, Side>> = {
  up_proj: "outputs",
  v_proj: "outputs",
  down_proj: "inputs",
  o_proj: "inputs",
};
const partners: Readonly<Record<string, string>> = { "mlp.up_proj": "mlp.down_proj", "self_attn.v_proj": "self_attn.o_proj" };

/** Factors of a pair may be this far from undoing each other, which is their quantization error. */
const tolerance = 0.2;

export const scalableSide = (layer: string): Side | undefined => {
  const kind = layer.slice(layer.lastIndexOf(".") + 1);
  return Object.hasOwn(sides, kind) ? sides[kind] : undefined;
};

/** Layers by name: whether they are scaled, and by what factors they come nearest the original's, scaled or not. */
type Scales = ReadonlyMap<string, { readonly isScaled: boolean; readonly best: { readonly factors: Float64Array } | null }>;

/** Checks that what was divided out of one layer was multiplied into its partner, where it may be too little to be seen. */
export function checkFolds(findings: Findings, layers: Scales): void {
  const checked = new Set<string>();
  for (const [name, { isScaled, best }] of layers) {
    const partner = partnerOf(name);
    if (!isScaled || checked.has(name) || partner === null) continue;
    checked.add(name).add(partner);
    const [a, b] = [best!.factors, layers.get(partner)?.best?.factors];
    if (!b || !undo(a, b))
      findings.join(
        "error",
        "values",
        "A layer's rows or columns are scaled, and its partner's are not scaled back.",
        `${name} (${partner})`,
      );
  }
}

function partnerOf(name: string): string | null {
  for (const pair of Object.entries(partners))
    for (const [from, to] of [pair, pair.toReversed()]) if (name.endsWith(from)) return name.slice(0, -from.length) + to;
  return null;
}

/** Whether the products of the factors are about 1, most of them. */
function undo(a: Float64Array, b: Float64Array): boolean {
  if (a.length !== b.length) return false;
  const off = Array.from(a, (x, i) => Math.abs(x * b[i] - 1)).sort((x, y) => x - y);
  return off[Math.floor(0.8 * off.length)] < tolerance;
}
