/** What GPTQ's and AWQ's layouts have in common: rows are groups, and columns outputs. */
import { toF16Words } from "../../io/dtype";
import type { PackedLayer } from "../../quant/coded";

/** scales F16 [G, out]. */
export function scalesByGroup({ scales, shape: [out] }: PackedLayer): Uint8Array {
  const groups = scales.length / out;
  const turned = new Float32Array(scales.length);
  for (let g = 0; g < groups; g++) for (let o = 0; o < out; o++) turned[g * out + o] = scales[o * groups + g];
  return new Uint8Array(toF16Words(turned).buffer);
}
