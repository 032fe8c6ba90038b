/** Options that are understood and change nothing, or not what they seem to, told so that nobody believes they did. Those of the recipe: `idleFlags`. */
import type { Flags } from "../recipe/flags";
import type { Recipe } from "../recipe/recipe";

interface Given {
  calibration?: string;
  text?: string;
  tokens?: string;
  "text-field"?: string;
  cpu?: boolean;
  "gpu-memory"?: string;
}

const isTokens = (file: string | undefined): boolean => file?.toLowerCase().endsWith(".npy") ?? false;

/** A sentence for each. @param reads whether the command reads a text at all: a checkpoint of an unknown architecture cannot be run on one. */
export function idleOptions(given: Given, reads = true): string[] {
  const file = given.calibration ?? given.text ?? given.tokens;
  const noField = !reads ? "no text is read" : isTokens(file) ? `${file} holds token ids` : null;
  const found: [idle: boolean, sentence: string][] = [
    [
      !reads && given.calibration !== undefined,
      "--calibration has no effect: a checkpoint of an unknown architecture is rounded to nearest, without a text.",
    ],
    [noField !== null && given["text-field"] !== undefined, `--text-field has no effect: ${noField}.`],
    [given.cpu === true && given["gpu-memory"] !== undefined, "--gpu-memory has no effect beside --cpu."],
  ];
  return found.flatMap(([idle, sentence]) => (idle ? [sentence] : []));
}

/** A sentence where a GGUF type is asked for, and a dense file is what comes of it though nobody asked for that. */
export const typeIsDense = ({ type, format }: Recipe, given: Flags): string[] =>
  type === "none" || format !== "dense" || given.format !== undefined
    ? []
    : [
        `The weights are rounded on the grid of ${type} and written dense, as floats in safetensors: --format gguf or --for llama.cpp writes a GGUF file.`,
      ];
