/** What `npm run real` runs: one recipe for command line and page, and how much of it. */
import { join } from "node:path";
import { root } from "../proc.mjs";

export const fixtures = join(root, "tests", "fixtures", "real");
/** Tokens of a window, in both files. */
export const windowLength = 256;

/**
 * How much is run, in windows.
 * @typedef {object} Size
 * @property {string} name
 * @property {number} calibration windows, of 16
 * @property {number | null} blocks that the command line quantizes; null: all 30
 * @property {number} evaluation windows of the command line
 * @property {number} pageBlocks
 * @property {number} pageEvaluation windows of the page, which computes on the same slow adapter but measures both models at once
 */

/** @type {Size} */
export const whole = { name: "whole", calibration: 8, blocks: null, evaluation: 12, pageBlocks: 5, pageEvaluation: 4 };
/** To see that the command works. @type {Size} */
export const small = { name: "small", calibration: 1, blocks: 2, evaluation: 1, pageBlocks: 1, pageEvaluation: 1 };

/**
 * GPTQ, 4 bits, groups of 64, QEP with α 0.5 in every layer, written dense because the page quantizes only some blocks.
 * @param {Size} size
 * @param {number | null} blocks
 */
export const recipeFor = ({ calibration }, blocks) => ({
  version: 1,
  method: "gptq",
  bits: 4,
  groupSize: 64,
  qep: { alpha: 0.5 },
  rules: [{ match: "down_proj", alpha: 0.5 }],
  calibration: { windows: calibration },
  blocks,
});
