/** What a recipe must be like for the place where its result will run. */
import { changeRecipe } from "./access";
import { type DestinationId, destinations } from "./destinations";
import type { FormatId } from "./formats";
import { presets } from "./presets";
import { type Bits, bitWidths, type GroupSize, type MethodId, methodIds, type Recipe, type RecipeChange } from "./recipe";
import type { TensorType, TypeMix } from "./types";

/** Sizes of a group, the best one first. */
const groups: Partial<Record<DestinationId, readonly GroupSize[]>> = {
  transformers: [128, 64, 32],
  gptqmodel: [128, 64, 32],
  vllm: [128, 64, 32],
  mlx: [64, 32, 128],
  web: [32, 64, 128],
};

const grids: Partial<Record<DestinationId, RecipeChange>> = {
  transformers: { symmetric: true, zeros: "integer" },
  gptqmodel: { symmetric: true, zeros: "integer" },
  vllm: { symmetric: true, zeros: "integer" },
  mlx: { symmetric: false, zeros: "real" },
  web: { symmetric: false, zeros: "integer" },
};

/** The mix, or type, of so many bits that people choose. */
const ggufTypes: Readonly<Record<Bits, TensorType | TypeMix>> = { 2: "Q2_K_M", 3: "Q3_K_M", 4: "Q4_K_M", 8: "Q8_0" };

/**
 * The recipe, changed for this place: format and kind of grid, a group that divides all layers, and bits that can be held. All else stays as it is.
 * @param widths of all layers' inputs; empty: not known.
 */
export function suited(recipe: Recipe, destination: DestinationId, widths: readonly number[] = []): Recipe {
  const format = destinations[destination].formats[0];
  const type = format === "gguf" ? ggufTypes[recipe.bits] : "none";
  const groupSize = fittingGroup(destination, widths) ?? recipe.groupSize;
  // QuIP's weights lie on no grid that a packed format has.
  const method = recipe.method === "quip" && format !== "dense" ? presets.good.sets : {};
  const changed = changeRecipe(changeRecipe(recipe, method), { destination, format, type, groupSize, ...grids[destination] });
  return isHeld(changed) ? changed : changeRecipe(changed, nearest(changed) ?? {});
}

/** The methods to offer for this place: QuIP only where its result can be written; and the recipe's own, whatever it is. */
export const methodsFor = ({ destination, method }: Recipe): MethodId[] =>
  methodIds.filter((id) => id !== "quip" || id === method || destinations[destination].formats.includes("dense"));

const fittingGroup = (destination: DestinationId, widths: readonly number[]): GroupSize | undefined =>
  groups[destination]?.find((size) => widths.every((n) => n % size === 0));

/** The recipe for another model, whose layers its groups may not divide. */
export function regrouped(recipe: Recipe, widths: readonly number[]): Recipe {
  if (recipe.groupSize < 0 || widths.every((n) => n % recipe.groupSize === 0)) return recipe;
  return { ...recipe, groupSize: fittingGroup(recipe.destination, widths) ?? -1 };
}

/** Grids that a destination can hold in a format. */
interface Held {
  bits: readonly Bits[];
  symmetric: boolean;
  /** Layers may differ in bits or groups. */
  mixed: boolean;
}

const held: Partial<Record<DestinationId, Partial<Record<FormatId, readonly Held[]>>>> = {
  transformers: {
    "compressed-tensors": [
      { symmetric: true, bits: bitWidths, mixed: true },
      { symmetric: false, bits: bitWidths, mixed: false },
    ],
  },
  // marlin_utils.py, and humming's kernels for 2 and 3 bits.
  vllm: {
    "compressed-tensors": [
      { symmetric: true, bits: bitWidths, mixed: true },
      { symmetric: false, bits: [4], mixed: true },
    ],
    gptq: [{ symmetric: true, bits: [4, 8], mixed: false }],
  },
};

interface Fault {
  what: string;
  hint: string;
}

/** Why the recipe's destination cannot run what it would give, and what is nearest to it that can be run; null: it can. */
export function destinationFault(recipe: Recipe): Fault | null {
  const { destination, format, symmetric } = recipe;
  const { title, formats } = destinations[destination];
  if (!formats.includes(format))
    return { what: `${title} does not load the ${format} format`, hint: `Use ${formats[0]}, or choose another place to run it.` };
  if (isHeld(recipe)) return null;
  const { widths, isMixed } = mixtureOf(recipe);
  const grids = `${isMixed ? "mixed " : ""}${kind(symmetric)} grids of ${widths.join(" and ")} bits`;
  return { what: `${title} does not load ${grids} in the ${format} format`, hint: hintOf(nearest(recipe)) };
}

const kind = (symmetric: boolean) => (symmetric ? "symmetric" : "asymmetric");

function mixtureOf({ bits, groupSize, rules }: Recipe): { widths: Bits[]; isMixed: boolean } {
  const widths = [...new Set([bits, ...rules.map((rule) => rule.bits ?? bits)])].sort((a, b) => a - b);
  return { widths, isMixed: widths.length > 1 || rules.some((rule) => (rule.groupSize ?? groupSize) !== groupSize) };
}

function isHeld(recipe: Recipe): boolean {
  const { widths, isMixed } = mixtureOf(recipe);
  const allowed = held[recipe.destination]?.[recipe.format];
  return (
    !allowed ||
    allowed.some(
      ({ symmetric, bits, mixed }) => symmetric === recipe.symmetric && widths.every((b) => bits.includes(b)) && (mixed || !isMixed),
    )
  );
}

/** The smallest change after which the destination can hold the grids: of their symmetry, else of the bits; null: rules stand in the way. */
function nearest(recipe: Recipe): Pick<RecipeChange, "bits" | "symmetric"> | null {
  const other = { symmetric: !recipe.symmetric };
  const byDistance = [...bitWidths].sort((a, b) => Math.abs(a - recipe.bits) - Math.abs(b - recipe.bits));
  const changes = [other, ...byDistance.flatMap((bits) => [{ bits }, { bits, ...other }])];
  return changes.find((change) => isHeld(changeRecipe(recipe, change))) ?? null;
}

function hintOf(change: Pick<RecipeChange, "bits" | "symmetric"> | null): string {
  if (!change) return "Give all layers the same bits and groups, or choose compressed-tensors.";
  const { bits, symmetric } = change;
  const words = [...(bits === undefined ? [] : [`${bits} bits`]), ...(symmetric === undefined ? [] : [`${kind(symmetric)} grids`])];
  return `Choose ${words.join(" and ")}.`;
}
