/** The files of a GGUF model: one, or the parts of a split one. */
import { partNames } from "../../export/gguf/part-names";
import { type GgufTensor, readGgufOf } from "../../export/gguf/reader";
import { ggmlTypes, otherTypes } from "../../export/gguf/types";
import type { SourceFile } from "../../io/types";
import type { CheckJob } from "../job";

/** Their numbers have five digits. */
const mostParts = 99_999;
const types = { ...ggmlTypes, ...otherTypes };
export type AnyTensor = GgufTensor<keyof typeof types> & { readonly file: SourceFile };

interface Parts {
  /** Of the first part, which has the model's. */
  metadata: Awaited<ReturnType<typeof readGgufOf>>["metadata"];
  tensors: AnyTensor[];
  /** All parts are here. */
  isWhole: boolean;
}

/** Several files that are no parts of one model are not checked together: the first one is. */
export async function openParts({ source, findings }: CheckJob): Promise<Parts> {
  const files = source.files.filter(({ name }) => /\.gguf$/i.test(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  const first = await open(files[0]);
  const count = first.metadata.get("split.count");
  const names = typeof count === "number" && count > 1 && count <= mostParts ? partNames(files[0].name, count) : [files[0].name];
  const found = names.flatMap((name) => files.find((file) => file.name === name) ?? []);
  const missing = names.filter((name) => !found.some((file) => file.name === name));
  if (missing.length) findings.add("error", "missing-part", "Parts of the model are not there: no client loads it.", missing.join(", "));
  if (files.length > found.length)
    findings.add(
      "warning",
      "opened",
      "There are several GGUF files; the first model is checked.",
      files.map(({ name }) => name).join(", "),
    );
  const rest = await Promise.all(found.filter((file) => file !== files[0]).map(open));
  return { metadata: first.metadata, tensors: [first, ...rest].flatMap(({ tensors }) => tensors), isWhole: missing.length === 0 };
}

async function open(file: SourceFile): Promise<Omit<Parts, "isWhole">> {
  const { metadata, tensors } = await readGgufOf(file, types);
  return { metadata, tensors: tensors.map((tensor) => ({ ...tensor, file })) };
}
