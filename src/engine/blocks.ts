import type { Model } from "../model/checkpoint";
import { type Block, freeBlock, loadBlock } from "../model/forward";
import type { Ops } from "../ops/ops";

/** A model's blocks from number `from` on, loaded to the device one at a time: each is freed when the next one is asked for or the loop ends. */
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
