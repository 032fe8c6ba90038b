/** The processes of the comparison: llama.cpp's side in Python, ours by the built command line. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { QuantError } from "../../../src/errors";

function output(command: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", input, maxBuffer: 2 ** 28 });
  if (status === 0) return stdout;
  const last = (error?.message ?? stderr).trim().split("\n").slice(-3).join(" ");
  throw new QuantError("bad-argument", `${command} ${args[0]} ended with ${status}: ${last}`, "See the message.");
}

/** One job of llama_jobs.py. scripts/results.mjs says where Python and libllama are. */
export function llama<T>(root: string, job: Record<string, unknown>): T {
  const lines = output(process.env.QEP_PYTHON!, [join(root, "scripts/results/beside/llama_jobs.py")], JSON.stringify(job));
  return JSON.parse(lines.trim().split("\n").at(-1)!);
}

/** Versions of the packages that the Python side uses. */
export const pythonVersions = (names: readonly string[]): Record<string, string> =>
  JSON.parse(
    output(process.env.QEP_PYTHON!, [
      "-c",
      `import json,importlib.metadata as m;print(json.dumps({n:m.version(n) for n in ${JSON.stringify(names)}}))`,
    ]),
  );

export const studio = (root: string, args: readonly string[]): string =>
  output(process.execPath, [join(root, "bin/qep-studio.mjs"), "quantize", ...args]);
