/** Real Python clients, in the environment that `npm run setup -- --tests` made. */
import { spawnSync } from "node:child_process";
import { readyPython } from "../../scripts/python.mjs";
import { root } from "./tree";

export interface DenseReport {
  /** 0 loaded whole; 2 refused; 3 tensors missing, unexpected or misplaced; 6 NaN or infinity. */
  exit: number;
  message: string;
  files: number;
  tensors: number;
  dtypes: string[];
  perplexity?: number;
  logits_finite?: boolean;
}

/** What transformers and the official safetensors reader make of an exported folder. */
export function checkDense(folder: string, tokens: string): DenseReport {
  const python = readyPython();
  if (!python) throw new Error("Run `npm run setup -- --tests` first: the Python environment is missing.");
  const { stdout, stderr } = spawnSync(python, [`${root}tests/interop/check_dense.py`, folder, tokens], { encoding: "utf8" });
  const last = stdout.trim().split("\n").at(-1);
  if (!last) throw new Error(`check_dense.py printed nothing: ${stderr}`);
  return JSON.parse(last);
}
