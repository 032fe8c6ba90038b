import { openShards } from "../../io/shards";
import type { Dtype } from "../../io/types";
import { CheckpointWriter, layoutShards } from "../../io/writer";
import type { Container, WrittenEntry } from "./container";

const maxShardBytes = 4e9;

/** safetensors files with at most 4 GB of tensors each, and an index where there are several. @param format what their metadata names as the library they are for. */
const safetensorsFor = (format: "pt" | "mlx"): Container<Dtype> => ({
  layout(entries) {
    const laid = layoutShards(entries, maxShardBytes, new Map([["format", format]]));
    const shards = laid.shards.reduce((sum, shard) => sum + shard.size, 0);
    return {
      dataBytes: laid.totalSize,
      fileBytes: shards + (laid.index?.bytes.length ?? 0),
      writer: (sink) => new CheckpointWriter(laid, sink),
    };
  },
  async open(written) {
    const { tensors } = await openShards(written);
    return new Map(
      [...tensors].map(([name, { dtype, shape, start, end, file }]): [string, WrittenEntry] => [
        name,
        { dtype, shape, bytes: end - start, read: (from, to) => file.read(start + from, start + to) },
      ]),
    );
  },
});

/** As transformers asks for. */
export const safetensors = safetensorsFor("pt");
export const mlxSafetensors = safetensorsFor("mlx");
