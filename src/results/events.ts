import type { BlockReport, LayerReport } from "./report";

/**
 * Laws, tested: progress never falls and its total is constant; blocks come in order; a start (there is another one after a lost device) takes back the
 * layers and blocks before it, and events of what is done follow again; exactly one terminal event ("end").
 */
export type RunEvent =
  | { type: "start"; blocks: number; quantizedBlocks: number }
  | { type: "progress"; done: number; total: number; where: string }
  | { type: "layer"; layer: LayerReport }
  | { type: "block"; block: BlockReport }
  /** So many blocks are done and kept: a crash does not lose them. */
  | { type: "commit"; done: number }
  | { type: "log"; level: "info" | "warning"; message: string }
  | { type: "end"; outcome: "done" | "cancelled" | "failed" };

/** How a progress event's `where` begins while a text is tokenized, before the work that is counted. */
export const tokenizing = "Tokenizing:";
