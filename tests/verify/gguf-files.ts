import { gguf } from "../../src/export/containers/gguf";
import { metadataOf } from "../../src/export/gguf/metadata";
import type { Metadata } from "../../src/export/gguf/metadata-values";
import { readGguf } from "../../src/export/gguf/reader";
import type { GgmlType } from "../../src/export/gguf/types";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import type { Recipe } from "../../src/recipe/recipe";
import { blockSource, exportOf } from "../support/gguf";
import type { Tensors } from "../support/tiny";

/** An export with its original, whose tensors `before` may change; `again` writes it anew with other keys, tensors or an end cut off. */
export async function exported(change: Partial<Recipe>, config: object = {}, before?: (t: Tensors) => void) {
  const source = blockSource(config, {}, before);
  const { files } = await exportOf(source, change);
  const model = await openModel(source);
  const [name, bytes] = [...files].find(([n]) => n.endsWith(".gguf"))!;
  const header = await readGguf(bytesFile(name, bytes));
  const keys = await metadataOf(model, model.spec!, "m", "Q4_0");
  interface Tensor {
    type: GgmlType;
    shape: readonly number[];
    bytes: Uint8Array;
  }
  interface Edit {
    keys?(k: Map<string, unknown>): void;
    tensors?(t: Map<string, Tensor>): void;
    cut?: number;
    /** Bytes of a part. */
    split?: number;
  }
  const again = async (edit: Edit = {}) => {
    const metadata = new Map(keys);
    edit.keys?.(metadata);
    const tensors = new Map(
      header.tensors.map(({ name: tensor, type, shape, start, end }) => [tensor, { type, shape, bytes: bytes.slice(start, end) }]),
    );
    edit.tensors?.(tensors);
    const sink = memorySink();
    const entries = [...tensors].map(([tensor, { type, shape }]) => ({ name: tensor, dtype: type, shape }));
    const writer = gguf("m.gguf", metadata as Metadata, edit.split)
      .layout(entries)
      .writer(sink);
    for (const [tensor, { bytes: data }] of tensors) await writer.write(tensor, data);
    await writer.end();
    const written = [...sink.files].map(([file, content]) => bytesFile(file, content.slice(0, content.length - (edit.cut ?? 0))));
    return memorySource("m", written);
  };
  return { model, again };
}
