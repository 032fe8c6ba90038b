/** Real Python clients, in the environment that `npm run setup -- --tests` made. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { readyPython } from "../../scripts/python.mjs";
import { root } from "./tree";

/** One question to tests/interop/check_export.py. */
export interface Job {
  /** The folder in question. */
  export: string;
  /** .npy of [windows, length] token ids. */
  tokens: string;
  /** A dense export of the same run: what the weights and the logits must be. */
  dense?: string;
  client?: "transformers" | "gptqmodel";
  dtype?: "float16" | "float32";
  /** What it must be. */
  perplexity?: number;
  /** A text to go on with, greedily, by so many tokens. */
  prompt?: string;
  more?: number;
}

export interface Report {
  /** 0 agrees; 2 refused; 3 structure; 4 other weights; 5 other logits; 6 NaN or infinity; 7 another perplexity. */
  exit: number;
  message: string;
  files?: number;
  tensors?: number;
  dtypes?: string[];
  /** The dtype that transformers takes config.json to name. */
  said?: string;
  weights_compared?: number;
  weight_difference?: number;
  logit_difference?: number;
  perplexity?: number;
  /** MLX's: layers that are packed and that are not; `steps`: how far weights are off, in the largest step. */
  packed?: number;
  float_layers?: number;
  /** ONNX's: layers that are quantized, how far logits of a whole prompt and in parts are off, those of its last token, and the text that follows. */
  quantized?: number;
  whole?: number;
  steps?: number;
  last?: number[];
  text?: string;
}

export interface Clients {
  check(job: Job): Promise<Report>;
  stop(): void;
}

/** @param script in tests/interop, which answers `Job`s with `Report`s. */
export const startClients = (script = "check_export.py"): Clients => startJobs<Job, Report>(script);

/** One Python process for many jobs, a line of JSON each: importing torch alone takes seconds. @param script in tests/interop. */
export function startJobs<J, R>(script: string, env: Record<string, string> = {}): { check(job: J): Promise<R>; stop(): void } {
  const python = readyPython();
  if (!python) throw new Error("Run `npm run setup -- --tests` first: the Python environment is missing.");
  const child = spawn(python, [`${root}tests/interop/${script}`, "-"], { env: { ...process.env, ...env } });
  const waiting: { resolve(report: R): void; reject(error: Error): void }[] = [];
  let noise = "";
  child.stderr.on("data", (text) => {
    noise = (noise + text).slice(-4000);
  });
  createInterface(child.stdout).on("line", (line) => waiting.shift()?.resolve(JSON.parse(line)));
  child.on("close", (code, signal) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${script} ended (${code ?? signal}): ${noise}`));
  });
  // A process that has ended is reported by "close".
  child.stdin.on("error", () => {});
  return {
    check: (job) =>
      new Promise((resolve, reject) => {
        if (child.exitCode !== null) return reject(new Error(`${script} has ended: ${noise}`));
        waiting.push({ resolve, reject });
        child.stdin.write(`${JSON.stringify(job)}\n`);
      }),
    stop: () => child.stdin.end(),
  };
}
