import type { TensorType, TypeMix } from "../recipe/types";

/** Where a layer stands: its kind, its block of how many, and how many query heads share a key. */
interface Place {
  kind: string;
  block: number;
  blocks: number;
  sharing: number;
}

/** llama.cpp gives these blocks more bits: the first and the last eighth, and every third between. */
function isDear({ block, blocks }: Place): boolean {
  const eighth = Math.floor(blocks / 8);
  return block < eighth || block >= Math.floor((7 * blocks) / 8) || (block - eighth) % 3 === 2;
}

const dearer = (base: TensorType) => (place: Place) => (["v_proj", "down_proj"].includes(place.kind) && isDear(place) ? "Q6_K" : base);

/** The type of a layer in each mix, as llama-quant.cpp 0.5.0 assigns them to dense models. Divisions of block numbers are of whole numbers. */
const mixes: Readonly<Record<TypeMix, (place: Place) => TensorType>> = {
  Q2_K_M: ({ kind, sharing }) => {
    if (kind === "v_proj") return sharing >= 4 ? "Q4_K" : "Q3_K";
    return kind === "down_proj" || kind === "o_proj" ? "Q3_K" : "Q2_K";
  },
  Q3_K_M: ({ kind, block, blocks }) => {
    if (kind === "v_proj") return block < 2 ? "Q5_K" : "Q4_K";
    if (kind === "down_proj") return block < Math.floor(blocks / 16) ? "Q5_K" : "Q4_K";
    return kind === "o_proj" ? "Q4_K" : "Q3_K";
  },
  Q4_K_S: ({ kind, block, blocks }) => {
    const dear = kind === "v_proj" ? block < 4 : kind === "down_proj" && block < Math.floor(blocks / 8);
    return dear ? "Q5_K" : "Q4_K";
  },
  Q4_K_M: dearer("Q4_K"),
  Q5_K_M: dearer("Q5_K"),
};

/** The type of most layers of a mix. */
const bases: Readonly<Record<TypeMix, TensorType>> = { Q2_K_M: "Q2_K", Q3_K_M: "Q3_K", Q4_K_S: "Q4_K", Q4_K_M: "Q4_K", Q5_K_M: "Q5_K" };

export const isMix = (type: string): type is TypeMix => Object.hasOwn(mixes, type);

/** The types of embeddings that are not the head, and of the head, beside layers of this type or mix. */
export function tableTypes(wanted: TensorType | TypeMix): { embeddings: TensorType; head: TensorType } {
  const base = isMix(wanted) ? bases[wanted] : wanted;
  return { embeddings: base === "Q2_0" ? "Q4_K" : base, head: base === "Q8_0" ? "Q8_0" : "Q6_K" };
}

export const typeInMix = (mix: TypeMix, place: Place): TensorType => mixes[mix](place);
