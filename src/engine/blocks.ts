import { readingAhead } from "../io/ahead";
import type { Shards } from "../io/types";
import { blockTensors, LoadedBlock } from "../model/block";
import type { Model } from "../model/checkpoint";
import type { Ops } from "../ops/ops";

/** Bytes that are read ahead: those of a block, so that memory does not grow with depth, but no more than so many. */
const mostAhead = 192 * 2 ** 20;

export function bytesAhead({ shards, spec }: Model): number {
  const sizes = blockTensors(spec, 0).map((name) => shards.tensors.get(name));
  return Math.min(
    mostAhead,
    sizes.reduce((sum, t) => sum + (t ? t.end - t.start : 0), 0),
  );
}

/** A model's shards that read ahead the tensors of the blocks from number `from` on, in the order in which they are loaded. */
export function readingBlocksAhead(model: Model, from = 0): Shards {
  const { shards, spec } = model;
  const names = Array.from({ length: spec.blocks - from }, (_, i) => blockTensors(spec, from + i)).flat();
  // Packed layers have other names.
  const known = names.filter((name) => shards.tensors.has(name));
  return readingAhead(shards, known, bytesAhead(model));
}

/**
 * A model's blocks from number `from` on, one at a time and without weights, which the caller loads: each is freed when the next one is asked for or the loop
 * ends.
 */
export async function* blocksOf(ops: Ops, model: Model, from = 0): AsyncGenerator<LoadedBlock> {
  for (let m = from; m < model.spec.blocks; m++) {
    const block = await LoadedBlock.open(ops, model, m);
    try {
      yield block;
    } finally {
      block.free();
    }
  }
}

/** One block with all its weights, freed afterwards. */
export async function withBlock<T>(ops: Ops, model: Model, index: number, work: (block: LoadedBlock) => Promise<T>): Promise<T> {
  const block = await LoadedBlock.open(ops, model, index);
  try {
    await block.load();
    return await work(block);
  } finally {
    block.free();
  }
}

/** The same from the first block on, with all weights. */
export async function* wholeBlocksOf(ops: Ops, model: Model): AsyncGenerator<LoadedBlock> {
  for await (const block of blocksOf(ops, { ...model, shards: readingBlocksAhead(model) })) {
    await block.load();
    yield block;
  }
}
