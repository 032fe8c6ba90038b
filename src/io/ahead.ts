import type { Shards } from "./types";

/**
 * The same shards, which read ahead: when a tensor of `names` is asked for, those after it are read while the caller works on it.
 * @param most bytes that may have been read and not yet asked for; one tensor may be more.
 * @param names tensors that are there, in the order in which they will be read whole. What is read out of order, or by rows, is read as if there were no order.
 */
export function readingAhead(shards: Shards, names: readonly string[], most: number): Shards {
  const sizes = names.map((name) => {
    const { start, end } = shards.tensors.get(name)!;
    return end - start;
  });
  const started = new Map<number, Promise<Uint8Array>>();
  let next = 0;
  const readFrom = (first: number) => {
    let bytes = 0;
    for (let i = first; i < names.length && (i === first || bytes + sizes[i] <= most); i++) {
      bytes += sizes[i];
      if (started.has(i)) continue;
      const reading = shards.readTensor(names[i]);
      // Whoever asks for it will be told.
      reading.catch(() => {});
      started.set(i, reading);
    }
  };
  return {
    ...shards,
    async readTensor(name, rows) {
      const at = rows ? -1 : names.indexOf(name, next);
      if (at < 0) return shards.readTensor(name, rows);
      const bytes = await (started.get(at) ?? shards.readTensor(name));
      for (const passed of started.keys()) if (passed <= at) started.delete(passed);
      next = at + 1;
      readFrom(next);
      return bytes;
    },
  };
}
