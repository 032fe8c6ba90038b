import type { BlockReport } from "./report";

/** A run's perplexity and Δ on one text. */
export interface Evaluation {
  perplexityBefore: number;
  perplexity: number;
  /** Δ_m on the evaluation text, every block. */
  blocks: BlockReport[];
  tokens: number;
  windows: number;
  ms: number;
}

/** A checkpoint's perplexity on one text. */
export interface Perplexity {
  perplexity: number;
  tokens: number;
  windows: number;
}

/** Shares of right answers to one kind of question ("all": to every kind), each with its standard error. */
export interface TaskScore {
  kind: string;
  questions: number;
  accuracy: number;
  accuracyError: number;
  /** By log-likelihood over a choice's bytes. */
  normalizedAccuracy: number;
  normalizedAccuracyError: number;
}

/** Two models on the same questions. */
export interface TaskChange {
  kind: string;
  questions: number;
  accuracy: AccuracyChange;
  normalizedAccuracy: AccuracyChange;
}

/** How a share of right answers changed. */
export interface AccuracyChange {
  before: number;
  after: number;
  /** Standard error of after − before. */
  error: number;
  /** Questions that only the first model answers rightly, and that only the second does. */
  lost: number;
  won: number;
  /** The probability that `lost` and `won` differ this much or more by chance alone (exact McNemar test). */
  chance: number;
}

export interface TasksResult {
  /** Of the checkpoint as it is. */
  scores: TaskScore[];
  /** From the checkpoint to the run; null where no run was asked for. */
  changes: TaskChange[] | null;
}
