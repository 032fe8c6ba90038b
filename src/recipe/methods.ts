/** The methods by their ids in a recipe: their names and options. Each is implemented by the file of that id in quant/. */
import { choice, type Field, optional, real, whole, yesNo } from "./field";

interface Method<Options> {
  name: string;
  /** A few words beside the name. */
  note: string;
  /** Fields of a recipe's section that has the method's id. */
  options: Options;
  /** Paths of other methods' options that it uses too. */
  borrows: readonly string[];
}

const method = <const Options extends Readonly<Record<string, Field>> = Record<never, never>>(
  name: string,
  note: string,
  options?: Options,
  borrows: readonly string[] = [],
): Method<Options> => ({ name, note, options: options ?? ({} as Options), borrows });

export const methods = {
  rtn: method("RTN", "round to nearest"),
  gptq: method("GPTQ", "error feedback", {
    damp: optional({
      label: "Damping",
      help: "Added to the Hessian’s diagonal, as a fraction of its mean; auto is a layer’s inputs ÷ calibration tokens, but at least 1 %.",
      flag: "damp",
      min: 0,
      fraction: true,
      none: "auto",
    }),
    actOrder: yesNo(true, {
      label: "Columns by descending Hessian diagonal (act-order)",
      help: "Visit columns by descending Hessian diagonal; groups stay where they are, so every client loads the result.",
      flag: "act-order",
      tag: "act-order",
    }),
    mse: yesNo(true, {
      label: "Search each grid’s range for the least error",
      help: "Search each grid’s range for the least squared error instead of taking the weights’ own range.",
      flag: "mse",
      tag: "mse",
    }),
    groupGrids: choice(["block", "live"], "block", {
      label: "Group grids",
      help: "Make a group’s grid when its first column is reached (live), not at the start of its block of 128 columns.",
      flag: "live-groups",
      switch: "live",
      titles: { block: "per 128 columns" },
    }),
  }),
  awq: method("AWQ", "scaled by activations"),
  quip: method(
    "QuIP",
    "rotated, dense only",
    { seed: whole(0, { label: "Rotation seed", help: "Seed of QuIP’s random rotations.", flag: "quip-seed", min: 0 }) },
    ["gptq.damp"],
  ),
  gptaq: method(
    "GPTAQ",
    "GPTQ against upstream errors",
    {
      alpha: real(0.25, {
        label: "GPTAQ strength",
        help: "How much of the preceding layers’ error each layer makes up for.",
        flag: "gptaq-alpha",
        min: 0,
        max: 1,
      }),
    },
    ["gptq.damp", "gptq.actOrder", "gptq.mse", "gptq.groupGrids"],
  ),
};

type Methods = typeof methods;
export type MethodId = keyof Methods;
export const methodIds = Object.keys(methods) as MethodId[];

/** "GPTQ (error feedback)". */
export const methodTitles = Object.fromEntries(methodIds.map((id) => [id, `${methods[id].name} (${methods[id].note})`])) as Record<
  MethodId,
  string
>;

type WithOptions = { [M in MethodId]: [keyof Methods[M]["options"]] extends [never] ? never : M }[MethodId];

/** A section of a recipe for each method that has options. */
export const methodSections = Object.fromEntries(
  methodIds.filter((id) => Object.keys(methods[id].options).length > 0).map((id) => [id, methods[id].options]),
) as { [M in WithOptions]: Methods[M]["options"] };
