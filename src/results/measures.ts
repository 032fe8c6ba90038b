import type { BlockReport } from "./report";

/** A mean over tokens with its standard error, as if tokens were independent; the error is NaN for a single token. */
export interface Mean {
  mean: number;
  error: number;
}

/** How far a model's next-token distributions q are from the original's p, over the tokens that perplexity counts. */
export interface Divergence {
  /** KL(p‖q) = Σ p·(ln p − ln q) of a token, in nats: 0 where the two are the same. */
  kl: Mean & { median: number; p99: number; max: number };
  /** The share of tokens at which both models find the same token likeliest. */
  sameTop: Mean;
  /** By how much the negative log-likelihood rises: ln of the perplexities' ratio, with the error of the paired difference. */
  lossRise: Mean;
}

/** A model beside its original on one text. */
export interface SideBySide {
  perplexityBefore: number;
  perplexity: number;
  divergence: Divergence;
  tokens: number;
  windows: number;
}

/** A checkpoint beside the one that it was made of. */
export interface Comparison extends SideBySide {
  /** Δ_m, every block; null where there is a reason for none. */
  blocks: BlockReport[] | null;
  /** Why their residual streams cannot be subtracted: other numbers of blocks or another width, or the one is rotated against the other. */
  noDelta: "sizes" | "coordinates" | null;
}

/** A run beside the checkpoint that it began with, on one text. */
export interface Evaluation extends SideBySide {
  /** Δ_m on the evaluation text, every block. */
  blocks: BlockReport[];
  ms: number;
}

/** A checkpoint's perplexity on one text. */
export interface Perplexity {
  perplexity: number;
  tokens: number;
  windows: number;
}

/** What a perplexity was measured on, for people: in longer windows a token has more before it, and perplexity is lower. */
export const extentText = ({ tokens, windows }: Pick<Perplexity, "tokens" | "windows">): string =>
  `${tokens.toLocaleString("en")} tokens in windows of ${tokens / windows}`;

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
