import { readFileSync } from "node:fs";
import { toFloats } from "../../src/io/dtype";
import { bytesFile, memorySource } from "../../src/io/memory";
import { openShards } from "../../src/io/shards";

const path = new URL("../fixtures/oracle/layer.safetensors", import.meta.url);

/** The oracle's wide layer with its answers, by name (tests/fixtures/oracle/README.md). */
export async function openLayer() {
  const shards = await openShards(memorySource("layer", [bytesFile("layer.safetensors", readFileSync(path))]));
  return {
    async floats(name: string): Promise<{ data: Float32Array; shape: number[] }> {
      const { dtype, shape } = shards.tensors.get(name)!;
      return { data: toFloats(await shards.readTensor(name), dtype), shape: [...shape] };
    },
    async codes(name: string): Promise<Uint8Array> {
      return shards.readTensor(name);
    },
  };
}
