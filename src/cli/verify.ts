import { stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { diskSourceFile, folderSource } from "../io/node";
import { nodeHasher } from "../io/node-hasher";
import type { Source, SourceFile } from "../io/types";
import { zipSource } from "../io/zip-source";
import { openCheckpoint } from "../model/checkpoint";
import type { Finding, Verification } from "../results/verification";
import { checkSource } from "../verify/verify";
import { parseCommandLine, verifyOptions } from "./args";
import { exits } from "./exit";
import { listener, megabytes, result, safe } from "./terminal";

/** `qep-studio verify`: checks the files of a checkpoint, beside the original if it is named. Returns the exit code. */
export async function verify(args: string[], signal: AbortSignal): Promise<number> {
  const { folder: path, options } = parseCommandLine(args, verifyOptions);
  const source = await sourceAt(path);
  const original = options.against === undefined ? null : await openCheckpoint(await folderSource(options.against));
  const listen = listener();
  const progress = (done: number, total: number, where: string) => listen({ type: "progress", done, total, where });
  const verification = await checkSource(source, { original, progress, startHasher: nodeHasher, signal });
  result(options.json ? JSON.stringify(verification) : textOf(verification));
  return verification.passed ? exits.ok : exits.unsound;
}

const weights = /\.(safetensors|index\.json|bin|pth?|gguf|onnx)$/;

/** The files of a folder, with those of its onnx folder; or a file with what belongs to it. */
async function sourceAt(path: string): Promise<Source> {
  if (!(await stat(path).catch(() => null))?.isFile()) return withGraphs(path);
  const file = await diskSourceFile(path);
  if (extname(path) === ".zip") return zipSource(file);
  if (/\.gguf$/i.test(path)) return { label: file.name, files: [file] };
  const { files } = await folderSource(dirname(path));
  const isGraph = extname(path) === ".onnx";
  // A graph's weights lie beside it; a safetensors file is described by its neighbours that are no weights themselves.
  const beside = files.filter(({ name }) => name !== basename(path) && !weights.test(name));
  const own = isGraph ? beside.filter(({ name }) => name.startsWith(basename(path))) : beside;
  return { label: file.name, files: [file, ...own] };
}

async function withGraphs(path: string): Promise<Source> {
  const source = await folderSource(path);
  const hasGraphs = (await stat(join(path, "onnx")).catch(() => null))?.isDirectory();
  const graphs = hasGraphs ? (await folderSource(join(path, "onnx"))).files : [];
  return { ...source, files: [...source.files, ...graphs.map((file): SourceFile => ({ ...file, name: `onnx/${file.name}` }))] };
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
