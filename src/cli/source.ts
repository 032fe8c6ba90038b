/** The files that a path on the command line names. */
import { stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { QuantError } from "../errors";
import { diskSourceFile, folderSource } from "../io/node";
import { shown } from "../io/text";
import type { Source, SourceFile } from "../io/types";
import { zipSource } from "../io/zip-source";

/** The same for all parts of a split GGUF file, and for no other. */
const series = (name: string): string => name.replace(/-\d{5}-of-(\d{5}\.gguf)$/, "-of-$1");

const weights = /\.(safetensors|index\.json|bin|pth?|gguf|onnx)$/i;

/**
 * The files of a folder, with those of its onnx folder; or a file with what belongs to it.
 * @throws QuantError `missing-file`, `bad-file` for a file whose name says that it holds no weights.
 */
export async function sourceAt(path: string): Promise<Source> {
  if (!(await stat(path).catch(() => null))?.isFile()) return withGraphs(path);
  const file = await diskSourceFile(path);
  if (extname(path) === ".zip") return zipSource(file);
  if (!weights.test(path))
    throw new QuantError(
      "bad-file",
      `${shown(path)} is no checkpoint file`,
      "Give a .safetensors, .gguf, .onnx or .zip file, or a folder.",
    );
  const { files } = await folderSource(dirname(path));
  if (/\.gguf$/i.test(path)) {
    const parts = series(file.name);
    return { label: file.name, files: [file, ...files.filter(({ name }) => name !== file.name && series(name) === parts)] };
  }
  const isGraph = extname(path) === ".onnx";
  // A graph's weights lie beside it; a safetensors file is described by its neighbours that are no weights themselves.
  const beside = files.filter(({ name }) => name !== basename(path) && !weights.test(name));
  const own = isGraph ? beside.filter(({ name }) => name.startsWith(basename(path))) : beside;
  return { label: file.name, files: [file, ...own] };
}

/** The files of a folder and of the folder onnx in it. */
export async function withGraphs(path: string): Promise<Source> {
  const source = await folderSource(path);
  const hasGraphs = (await stat(join(path, "onnx")).catch(() => null))?.isDirectory();
  const graphs = hasGraphs ? (await folderSource(join(path, "onnx"))).files : [];
  return { ...source, files: [...source.files, ...graphs.map((file): SourceFile => ({ ...file, name: `onnx/${file.name}` }))] };
}
