/** The files of a GGUF model: one, or the parts of a split one. */
import { partNames } from "../../export/gguf/part-names";
import { type GgufTensor, readGgufOf } from "../../export/gguf/reader";
import { ggmlTypes, otherTypes } from "../../export/gguf/types";
import type { Source, SourceFile } from "../../io/types";
import type { Keys } from "./network";

/** Their numbers have five digits. */
const mostParts = 99_999;
const types = { ...ggmlTypes, ...otherTypes };
export type AnyTensor = GgufTensor<keyof typeof types> & { readonly file: SourceFile };

interface Parts {
  /** Of the first part, which has the model's. */
  readonly metadata: Keys;
  readonly tensors: readonly AnyTensor[];
  readonly files: readonly SourceFile[];
  /** Names of parts that are not there. */
  readonly missing: readonly string[];
  /** Names of GGUF files that belong to another model. */
  readonly others: readonly string[];
}

/** Several files that are no parts of one model are not one: the first is taken. @throws QuantError as `readGgufOf`. */
export async function openParts(source: Source): Promise<Parts> {
  const files = source.files.filter(({ name }) => /\.gguf$/i.test(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const first = await open(files[0]);
  const count = first.metadata.get("split.count");
  const names = typeof count === "number" && count > 1 && count <= mostParts ? partNames(files[0].name, count) : [files[0].name];
  const found = names.flatMap((name) => files.find((file) => file.name === name) ?? []);
  const rest = await Promise.all(found.filter((file) => file !== files[0]).map(open));
  return {
    metadata: first.metadata,
    tensors: [first, ...rest].flatMap(({ tensors }) => tensors),
    files: found,
    missing: names.filter((name) => !found.some((file) => file.name === name)),
    others: files.filter((file) => !found.includes(file)).map(({ name }) => name),
  };
}

async function open(file: SourceFile): Promise<Pick<Parts, "metadata" | "tensors">> {
  const { metadata, tensors } = await readGgufOf(file, types);
  return { metadata, tensors: tensors.map((tensor) => ({ ...tensor, file })) };
}

/** Types in a file, most bytes first. */
export function typesOf(tensors: readonly AnyTensor[]): string[] {
  const bytes = new Map<string, number>();
  for (const { type, start, end } of tensors) bytes.set(type, (bytes.get(type) ?? 0) + end - start);
  return [...bytes].sort((a, b) => b[1] - a[1]).map(([type]) => type);
}
