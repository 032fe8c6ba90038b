import type { BlockReport, LayerReport } from "./report";

/**
 * What tests hold: progress never decreases and its total is constant; blocks come in order; a second "start" (after a lost device) withdraws the layers
 * and blocks reported before it, and those already done are reported again; there is exactly one terminal event ("end").
 */
export type RunEvent =
  | { type: "start"; blocks: number; quantizedBlocks: number }
  | { type: "progress"; done: number; total: number; where: string }
  | { type: "layer"; layer: LayerReport }
  | { type: "block"; block: BlockReport }
  /** This many blocks are done and stored: a crash does not lose them. */
  | { type: "commit"; done: number }
  | { type: "log"; level: "info" | "warning"; message: string }
  | { type: "end"; outcome: "done" | "cancelled" | "failed" };

/** How a progress event's `where` begins while a text is tokenized; that comes before the work that `total` counts. */
export const tokenizing = "Tokenizing:";
