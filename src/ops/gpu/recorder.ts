import type { Faults } from "./faults";
import { type Pipeline, type Pipelines, paramBytes } from "./pipelines";

/** Dispatches of one submit: enough to make its cost (20-100 µs) small, few enough that work starts early. */
const batchLength = 64;
/** Distance of two kernels' parameters; WebGPU's default alignment of a uniform offset. */
const slotBytes = 256;
const maxGroupsPerDimension = 65535;

/**
 * One command encoder at a time. Dispatches gather in it and go out together: at 64 of them, when their estimated work reaches the budget (a
 * long submit blocks the screen and may be taken for a hang), or when someone waits. Parameters are written just before the submit, so one
 * small buffer serves all batches: the queue keeps the order.
 */
export class Recorder {
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  private count = 0;
  private work = 0;
  private readonly slots = new Uint32Array((batchLength * slotBytes) / 4);
  private readonly arena: GPUBuffer;
  private readonly arenaGroup: GPUBindGroup;
  /** Number of the batch being recorded. A buffer that it uses must not be written from the host before the batch is submitted. */
  batch = 1;

  /** @param budget estimated floating-point operations of one submit. */
  constructor(
    private readonly device: GPUDevice,
    private readonly faults: Faults,
    pipelines: Pipelines,
    readonly budget: number,
  ) {
    this.arena = device.createBuffer({ size: this.slots.byteLength, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
    const entries = [{ binding: 0, resource: { buffer: this.arena, size: paramBytes } }];
    this.arenaGroup = device.createBindGroup({ layout: pipelines.paramLayout, entries });
  }

  /** @param u32s and @param f32s the kernel's Params: its u32 members, then its f32 members. @param work estimated floating-point operations. */
  dispatch(pipeline: Pipeline, group: GPUBindGroup, u32s: readonly number[], f32s: readonly number[], groups: number, work: number): void {
    if (groups === 0) return;
    const pass = this.openPass();
    const slot = (this.count * slotBytes) / 4;
    this.slots.set(u32s, slot);
    new Float32Array(this.slots.buffer).set(f32s, slot + u32s.length);
    pass.setPipeline(pipeline.gpu);
    pass.setBindGroup(0, group);
    pass.setBindGroup(1, this.arenaGroup, [slot * 4]);
    const rows = Math.ceil(groups / maxGroupsPerDimension);
    pass.dispatchWorkgroups(Math.ceil(groups / rows), rows);
    this.count++;
    this.work += work;
    if (this.count === batchLength || this.work >= this.budget) this.submit();
  }

  /** Records what is no dispatch (a copy, a clear), in its place among them. */
  command(record: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.open();
    this.pass?.end();
    this.pass = null;
    record(encoder);
  }

  submit(): void {
    if (!this.encoder) return;
    this.pass?.end();
    if (this.count) this.device.queue.writeBuffer(this.arena, 0, this.slots, 0, (this.count * slotBytes) / 4);
    this.device.queue.submit([this.encoder.finish()]);
    this.faults.closeScopes();
    this.encoder = null;
    this.pass = null;
    this.count = 0;
    this.work = 0;
    this.batch++;
  }

  /** Opens the batch, with its error scopes, if none is open; creating buffers does so too, so that a failed allocation is caught. */
  open(): GPUCommandEncoder {
    if (this.encoder) return this.encoder;
    this.faults.openScopes();
    this.encoder = this.device.createCommandEncoder();
    return this.encoder;
  }

  private openPass(): GPUComputePassEncoder {
    this.pass ??= this.open().beginComputePass();
    return this.pass;
  }
}
