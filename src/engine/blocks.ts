import type { Model } from "../model/checkpoint";
import { type Block, freeBlock, loadBlock } from "../model/forward";
import type { Ops } from "../ops/ops";

/** A model's blocks from number `from` on, one at a time on the device: each is freed when the next is asked for, or the loop is left. */
export async function* blocksOf(ops: Ops, model: Model, from = 0): AsyncGenerator<Block> {
  for (let m = from; m < model.spec.blocks; m++) {
    const block = await loadBlock(ops, model, m);
    try {
      yield block;
    } finally {
      freeBlock(ops, block);
    }
  }
}
