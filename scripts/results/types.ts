/** What `npm run results` measures and writes: plain data. */
import type { TaskScore } from "../../src/results/measures";

/** Δ_m and Δ_m / ‖h_m‖², after every block of the model. */
export interface Growth {
  delta: number[];
  relativeDelta: number[];
}

export interface Measurement {
  name: string;
  /** The command line's, as the oracle's file gives them. */
  flags: string[];
  perplexity: number;
  calibration: Growth;
  evaluation: Growth;
  /** ‖WX − ŴX̂‖² / ‖WX‖² by layer name. */
  layers: Record<string, number>;
  tasks: TaskScore[];
}

/** The model as it is. */
export interface Original {
  perplexity: number;
  tasks: TaskScore[];
}

export interface Size {
  windows: number;
  length: number;
}

/** docs/results/results.json: all that docs/results.md is made of, besides the oracle's figures. */
export interface Results {
  adapter: string;
  /** Over everything that could change a figure (cache.ts). */
  fingerprint: string;
  model: { blocks: number; hidden: number };
  calibration: Size;
  evaluation: Size;
  /** Accuracy of taking a choice at random, by kind of question and over all. */
  chance: Record<string, number>;
  original: Original | null;
  recipes: Measurement[];
}

/** The oracle's figures of one recipe. */
export interface Figures {
  flags: string[];
  perplexityBefore: number;
  perplexity: number;
  delta: number[];
  relativeDelta: number[];
  deltaEvaluation: number[];
  layers: Record<string, number>;
  delta_rtol: number;
  perplexity_rtol: number;
}

export type Oracle = Record<string, Figures>;
