import { nodeHasher } from "../io/node-hasher";
import { openAny } from "../reopen/open";
import type { Finding, Verification } from "../results/verification";
import { checkSource } from "../verify/verify";
import { parseCommandLine, verifyOptions } from "./args";
import { exits } from "./exit";
import { sourceAt } from "./source";
import { listener, megabytes, result, safe } from "./terminal";

/** `qep-studio verify`: checks the files of a checkpoint, beside the original if it is named. Returns the exit code. */
export async function verify(args: string[], signal: AbortSignal): Promise<number> {
  const { folder: path, options } = parseCommandLine(args, verifyOptions);
  const source = await sourceAt(path);
  const original = options.against === undefined ? null : await openAny(await sourceAt(options.against));
  const listen = listener();
  const progress = (done: number, total: number, where: string) => listen({ type: "progress", done, total, where });
  const verification = await checkSource(source, { original, progress, startHasher: nodeHasher, signal });
  result(options.json ? JSON.stringify(verification) : textOf(verification));
  return verification.passed ? exits.ok : exits.unsound;
}

const signs: Readonly<Record<Finding["level"], string>> = { ok: "ok      ", warning: "warning ", error: "ERROR   " };

function textOf({ label, title, tensors, bytes, findings, layers, passed }: Verification): string {
  const lines = [
    `${label}: ${title}, ${tensors.toLocaleString("en")} tensors, ${megabytes(bytes)}`,
    ...findings.map(({ level, message, where }) => `${signs[level]}${message}${where && !message.includes(where) ? ` [${where}]` : ""}`),
    ...tableOf(layers),
    passed ? "The files are sound." : "The files are NOT sound.",
  ];
  return lines.map(safe).join("\n");
}

function tableOf(layers: Verification["layers"]): string[] {
  if (!layers?.length) return [];
  const width = Math.max(...layers.map(({ name }) => name.length));
  const rows = layers.map(
    ({ name, error, stored, scaled }) => `${name.padEnd(width)}  ${error.toExponential(3)}  ${stored}${scaled ? `, ${scaled} scaled` : ""}`,
  );
  return [`${"layer".padEnd(width)}  ‖W−Ŵ‖/‖W‖  stored as`, ...rows];
}
