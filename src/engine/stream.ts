import { type Activations, advance, type Block, enterBlock, type Geometry, stageOutputs } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import type { Ops, Scope, Tensor } from "../ops/ops";
import type { LayerKind } from "../recipe/recipe";

/**
 * One residual stream through the network, in chunks of whole windows. Activations are kept at stage boundaries, so each stage is
 * computed once. The starting h is borrowed; everything after it belongs to the stream, which frees what it leaves behind.
 */
export class Stream {
  private readonly states: (Activations & { ownsH: boolean })[];

  constructor(
    private readonly ops: Ops,
    private readonly geometry: Geometry,
    start: readonly Tensor[],
  ) {
    this.states = start.map((h) => ({ h, x: h, ownsH: false }));
  }

  get chunks(): number {
    return this.states.length;
  }

  h(c: number): Tensor {
    return this.states[c].h;
  }

  x(c: number): Tensor {
    return this.states[c].x;
  }

  enter(block: Block): void {
    for (const state of this.states) state.x = enterBlock(this.ops, this.geometry, block, state.h);
  }

  outputs(c: number, stage: Stage, weights: Readonly<Record<LayerKind, Tensor>>): Tensor[] {
    return stageOutputs(this.ops, stage, weights, this.states[c].x);
  }

  /** Moves chunk c past a stage; frees its outputs and what they replace, unless they are to be kept. */
  advance(c: number, block: Block, stage: Stage, outputs: readonly Tensor[], keep = false): void {
    const before = this.states[c];
    const after = advance(this.ops, this.geometry, block, stage, before.h, outputs);
    if (!keep) this.ops.free(before.x, ...outputs);
    if (after.h !== before.h && before.ownsH) this.ops.free(before.h);
    this.states[c] = { ...after, ownsH: before.ownsH || after.h !== before.h };
  }

  /** The next linear layers' inputs over s [in], column by column. */
  divideInputs(c: number, s: Tensor): void {
    const state = this.states[c];
    const divided = this.ops.scaleColumns(state.x, s, true);
    this.ops.free(state.x);
    state.x = divided;
  }

  /** A whole block, nothing looked at on the way. */
  pass(c: number, block: Block): void {
    for (const stage of stages) this.advance(c, block, stage, this.outputs(c, stage, block.weights));
  }

  /** The block's end: h stays alive for somebody else, who frees it. */
  release(c: number): void {
    this.states[c].ownsH = false;
  }

  /** Frees the residual stream after the last block. */
  end(): void {
    for (const state of this.states) if (state.ownsH) this.ops.free(state.h);
  }
}

interface RecordedStage {
  x: Tensor;
  outputs: Tensor[];
}

/**
 * The full-precision stream of one text, kept on the device for the next run: for each block and chunk every stage's input and
 * outputs, and h after the block.
 */
export class Recording {
  readonly residuals: Tensor[][] = [];
  readonly stages: RecordedStage[][][] = [];

  constructor(
    private readonly ops: Ops,
    readonly start: readonly Tensor[],
  ) {}

  free(): void {
    this.ops.free(...this.start, ...this.residuals.flat());
    for (const { x, outputs } of this.stages.flat(2)) this.ops.free(x, ...outputs);
  }
}

/**
 * X and W·X of every stage: computed block by block, recorded when there is a recording, and read back from it where an earlier run
 * got that far. A block is recorded whole or not at all, so a cancelled run leaves a recording that the next one continues.
 */
export class FullPrecision {
  private live: Stream;
  private replayed: number | null = null;
  private pending: RecordedStage[][] = [];
  private readonly memo = new Map<number, Tensor[]>();

  constructor(
    ops: Ops,
    geometry: Geometry,
    start: readonly Tensor[],
    private readonly recording: Recording | null,
    private readonly scope: Scope,
  ) {
    this.live = new Stream(ops, geometry, recording?.residuals.at(-1) ?? start);
  }

  enter(block: Block): void {
    this.replayed = this.recording?.residuals[block.index] ? block.index : null;
    this.pending = Array.from({ length: this.live.chunks }, () => []);
    if (this.replayed === null) this.live.enter(block);
  }

  x(c: number, stage: Stage): Tensor {
    return this.replayed === null ? this.live.x(c) : this.recorded(c, stage).x;
  }

  /** W·X of the stage's layers, before any bias. Borrowed until `advance`. */
  outputs(c: number, stage: Stage, block: Block): readonly Tensor[] {
    if (this.replayed !== null) return this.recorded(c, stage).outputs;
    const outputs = this.memo.get(c) ?? this.live.outputs(c, stage, block.weights);
    this.memo.set(c, outputs);
    return outputs;
  }

  advance(c: number, stage: Stage, block: Block): void {
    if (this.replayed !== null) return;
    const outputs = [...this.outputs(c, stage, block)];
    this.memo.delete(c);
    if (this.recording) this.pending[c].push({ x: this.live.x(c), outputs });
    this.live.advance(c, block, stage, outputs, this.recording !== null);
  }

  pass(c: number, block: Block): void {
    for (const stage of stages) this.advance(c, stage, block);
  }

  /** h_m of the block just passed. */
  h(c: number): Tensor {
    return this.replayed === null ? this.live.h(c) : this.recording!.residuals[this.replayed][c];
  }

  /** After every chunk has passed a block: what was computed goes to the recording and outlives this run. */
  leave(): void {
    const recording = this.recording;
    if (this.replayed !== null || !recording) return;
    const residuals = this.pending.map((_, c) => this.live.h(c));
    for (let c = 0; c < residuals.length; c++) this.live.release(c);
    this.scope.keep(...residuals, ...this.pending.flat().flatMap((s) => [s.x, ...s.outputs]));
    recording.residuals.push(residuals);
    recording.stages.push(this.pending);
  }

  end(): void {
    this.live.end();
  }

  private recorded(c: number, stage: Stage): RecordedStage {
    return this.recording!.stages[this.replayed!][c][stages.indexOf(stage)];
  }
}
