import type { Block } from "../model/block";
import type { Geometry } from "../model/forward";
import { type Stage, stages } from "../model/layers";
import type { Activation, Activations } from "../ops/activations";
import type { Tensor } from "../ops/ops";
import { Stream } from "./stream";

interface RecordedStage {
  x: Activation;
  outputs: Activation[];
}

/**
 * The full-precision stream of one text, kept for the next run: for each block and chunk every stage's input and outputs, and h after the block.
 */
export class Recording {
  readonly residuals: Activation[][] = [];
  readonly stages: RecordedStage[][][] = [];

  /** @param embeddings digest of the embedding rows that were read. */
  constructor(
    readonly start: readonly Activation[],
    readonly embeddings: string | null,
  ) {}

  free(): void {
    for (const h of [...this.start, ...this.residuals.flat()]) h.free();
    for (const { x, outputs } of this.stages.flat(2)) for (const activation of [x, ...outputs]) activation.free();
  }
}

/**
 * The full-precision stream: X and W·X of every stage, block by block. With a recording, blocks that an earlier run recorded are read back from it, and
 * those after them are computed and recorded. A block is recorded whole or not at all, so the next run can continue a cancelled one's recording.
 */
export class FullPrecision {
  private readonly live: Stream;
  private replayed: number | null = null;
  private pending: RecordedStage[][] = [];
  /** The current chunk's tensors, on the device until `advance`. */
  private borrowed: { tensors: readonly Tensor[]; release(): void } | null = null;

  /** @param start h before the first block that will be entered. */
  constructor(
    private readonly activations: Activations,
    start: readonly Activation[],
    geometry: Geometry,
    private readonly recording: Recording | null,
  ) {
    const first = recording?.residuals.at(-1) ?? start;
    this.live = new Stream(
      activations,
      first.map((h) => ({ h, geometry })),
    );
  }

  async enter(block: Block): Promise<void> {
    this.replayed = this.recording?.residuals[block.index] ? block.index : null;
    this.pending = Array.from({ length: this.live.chunks }, () => []);
    if (this.replayed === null) await this.live.enter(block);
  }

  x(c: number, stage: Stage): Activation {
    return this.replayed === null ? this.live.x(c) : this.recorded(c, stage).x;
  }

  /** W·X of the stage's layers, before any bias. Borrowed until `advance` of the same chunk. */
  async outputs(c: number, stage: Stage, block: Block): Promise<readonly Tensor[]> {
    if (this.replayed === null) {
      const tensors = await this.live.outputs(c, stage, block.weights);
      this.borrowed = { tensors, release: () => {} };
    } else {
      const { outputs } = this.recorded(c, stage);
      const tensors: Tensor[] = [];
      for (const output of outputs) tensors.push(await output.acquire());
      this.borrowed = { tensors, release: () => outputs.forEach((output) => void output.release()) };
    }
    return this.borrowed.tensors;
  }

  async advance(c: number, stage: Stage, block: Block): Promise<void> {
    const { tensors, release } = this.borrowed!;
    this.borrowed = null;
    release();
    if (this.replayed !== null) return;
    const x = this.live.x(c);
    await this.live.advance(c, block, stage, tensors, this.recording !== null);
    if (!this.recording) return this.activations.ops.free(...tensors);
    const outputs: Activation[] = [];
    for (const tensor of tensors) outputs.push(await this.activations.hold(tensor));
    this.pending[c].push({ x, outputs });
  }

  /** h_m of the block just passed. */
  h(c: number): Activation {
    return this.replayed === null ? this.live.h(c) : this.recording!.residuals[this.replayed][c];
  }

  /** After every chunk has passed a block: what was computed goes to the recording and outlives this run. */
  async leave(): Promise<void> {
    const { recording } = this;
    if (this.replayed !== null || !recording) return;
    const residuals = this.pending.map((_, c) => this.live.h(c));
    for (let c = 0; c < residuals.length; c++) this.live.release(c);
    const kept = [...residuals, ...this.pending.flat().flatMap((s) => [s.x, ...s.outputs])];
    for (const activation of kept) await this.activations.keep(activation);
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
