/** What `npm run results -- --beside` measures: plain data, docs/results/beside-<model>.json. */

/** By libllama's logits over all positions but a window's last. */
export interface Score {
  perplexity: number;
  /** Mean KL divergence of the file's distribution from the f16 original's, in nats. */
  divergence: number;
  /** Share of positions with the original's most likely token. */
  agreement: number;
}

/** One file per draw of calibration windows; one file alone where nothing is calibrated. */
export interface Scored {
  type: string;
  method: string;
  bytes: number[];
  scores: Score[];
  /** What ours ran on, and the hash of the build and the data. */
  adapter: string;
  build: string;
}

export interface Beside {
  model: string;
  /** Versions of llama.cpp's package and of the libraries of its Python side. */
  versions: Record<string, string>;
  calibration: { windows: number; length: number; of: number };
  evaluation: { windows: number; length: number };
  /** The f16 file's; its divergence from itself is 0. */
  original: Score & { bytes: number };
  rows: Scored[];
}
