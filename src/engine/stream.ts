import type { Block } from "../model/block";
import { advance, enterBlock, type Geometry, stageOutputs } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import { type Activation, type Activations, using } from "../ops/activations";
import type { Ops, Tensor } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";

/** Whole windows that go through the network together: their residual stream, and what their attention needs to know. */
export interface Chunk {
  readonly h: Activation;
  readonly geometry: Geometry;
}

interface ChunkState extends Chunk {
  /** The next linear layers' input; h itself at the end of a block. */
  readonly x: Activation;
  /** This stream made h, and frees it when it advances. */
  readonly ownsH: boolean;
}

/**
 * One residual stream through the network. Inside a block that is looked at stage by stage, activations are kept at stage boundaries, so that each stage
 * is computed once. The h that it starts from is borrowed; everything after it belongs to the stream, which frees what it leaves behind.
 */
export class Stream {
  private readonly states: ChunkState[];

  constructor(
    private readonly activations: Activations,
    start: readonly Chunk[],
  ) {
    this.states = start.map((chunk) => ({ ...chunk, x: chunk.h, ownsH: false }));
  }

  private get ops(): Ops {
    return this.activations.ops;
  }

  get chunks(): number {
    return this.states.length;
  }

  h(c: number): Activation {
    return this.states[c].h;
  }

  /** h of every chunk. */
  get hs(): Activation[] {
    return this.states.map(({ h }) => h);
  }

  x(c: number): Activation {
    return this.states[c].x;
  }

  /** Moves every chunk to the inputs of the block's first stage. */
  async enter(block: Block): Promise<void> {
    for (const [c, state] of this.states.entries()) {
      const x = await using(state.h, (h) => enterBlock(this.ops, state.geometry, block, h));
      this.states[c] = { ...state, x: await this.activations.hold(x) };
    }
  }

  outputs(c: number, stage: Stage, weights: Readonly<Record<LayerKind, Tensor>>): Promise<Tensor[]> {
    return using(this.states[c].x, (x) => stageOutputs(this.ops, stage, weights, x));
  }

  /** Moves chunk c past a stage and frees what it leaves behind, unless its input is to be kept. The outputs stay the caller's. */
  async advance(c: number, block: Block, stage: Stage, outputs: readonly Tensor[], keepsInput = false): Promise<void> {
    const before = this.states[c];
    const h = await before.h.acquire();
    const after = advance(this.ops, before.geometry, block, stage, h, outputs);
    before.h.release();
    if (!keepsInput) before.x.free();
    const moved = after.h !== h;
    if (moved && before.ownsH) before.h.free();
    const newH = moved ? await this.activations.hold(after.h) : before.h;
    const x = after.x === after.h ? newH : await this.activations.hold(after.x);
    this.states[c] = { ...before, h: newH, x, ownsH: moved || before.ownsH };
  }

  /** Divides the next linear layers' inputs by s [in], column by column. */
  async divideInputs(c: number, s: Tensor): Promise<void> {
    const { x } = this.states[c];
    const divided = await using(x, (tensor) => this.ops.scaleColumns(tensor, s, true));
    x.free();
    this.states[c] = { ...this.states[c], x: await this.activations.hold(divided) };
  }

  /** Moves chunk c through a whole block without exposing its stages. */
  async pass(c: number, block: Block): Promise<void> {
    const before = this.states[c];
    const { ops } = this;
    const start = await before.h.acquire();
    let h = start;
    let x = enterBlock(ops, before.geometry, block, start);
    for (const stage of stages) {
      const outputs = stageOutputs(ops, stage, block.weights, x);
      const after = advance(ops, before.geometry, block, stage, h, outputs);
      ops.free(x, ...outputs);
      if (after.h !== h && h !== start) ops.free(h);
      ({ h, x } = after);
    }
    before.h.release();
    if (before.ownsH) before.h.free();
    const held = await this.activations.hold(h);
    this.states[c] = { ...before, h: held, x: held, ownsH: true };
  }

  /** Makes the stream the owner of the h it starts from, so that it is freed with the rest. */
  own(): void {
    for (const [c, state] of this.states.entries()) this.states[c] = { ...state, ownsH: true };
  }

  /** At the end of a block: gives h away; whoever takes it frees it. */
  release(c: number): void {
    this.states[c] = { ...this.states[c], ownsH: false };
  }

  /** Frees the residual stream after the last block. */
  end(): void {
    for (const { h, ownsH } of this.states) if (ownsH) h.free();
  }
}
