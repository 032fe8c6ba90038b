import { QuantError } from "../../errors";
import type { Tensor } from "../ops";
import { Tracker } from "../tracker";
import type { DeviceOptions, OpenedGpu } from "./device";
import { Faults } from "./faults";
import type { KernelName } from "./kernels";
import { type GpuTensor, isCut, panelBytes, panelShape, type RowRange, rowRuns, rowsPerPanel, type Slice, slice, whole } from "./panels";
import { type Constants, Pipelines } from "./pipelines";
import { Pool } from "./pool";
import { Recorder } from "./recorder";

export type { GpuTensor } from "./panels";

/** One dispatch: what runs, over which tensors or rows of them (in binding order), with which parameters. */
export interface Dispatch {
  constants?: Constants;
  bind: readonly (GpuTensor | Slice)[];
  u32: readonly number[];
  f32?: readonly number[];
  groups: number;
  /** Estimated floating-point operations; default 0 for work that is small beside its dispatch. */
  work?: number;
}

/** Invocations of a workgroup in kernels that take one element each. */
const perGroup = 64;
/** One upload's share; browsers copy it through shared memory of their own. */
const uploadBytes = 32 * 2 ** 20;
/** Bind groups kept with one buffer: more than a layer's kernels make, few enough to leak nothing. */
const keptGroups = 64;

/** A device with its pool, kernels and recorder: what every operation is written over. */
export class Gpu {
  readonly device: GPUDevice;
  readonly faults: Faults;
  readonly pipelines: Pipelines;
  readonly recorder: Recorder;
  readonly pool: Pool;
  readonly tracker = new Tracker<GpuTensor>((t) => {
    for (const panel of t.panels) this.pool.give(panel);
  });
  readonly software: boolean;
  /** Bytes of staging buffers that are in use. */
  private staged = 0;
  /** The most bytes that all buffers have taken at once: tensors, free buffers and staging. */
  heldPeak = 0;

  constructor(
    readonly opened: OpenedGpu,
    options: DeviceOptions = {},
  ) {
    this.device = opened.device;
    this.software = opened.facts.software;
    this.faults = new Faults(this.device);
    this.pipelines = new Pipelines(this.device, this.faults);
    // About a third of a second on a software adapter, a few milliseconds on a GPU.
    const budget = options.budget ?? (this.software ? 0.5e9 : 20e9);
    this.recorder = new Recorder(this.device, this.faults, this.pipelines, budget);
    this.pool = new Pool(this.device, this.recorder, this.faults);
  }

  /** A kernel that reduces rows: many lanes a row on a GPU, one on a software adapter, where a barrier costs more than it shares. */
  eachRow(name: KernelName, rows: number, d: Omit<Dispatch, "groups">): void {
    const shape = this.software ? { LANES: 1, ROWS: 16 } : { LANES: 128, ROWS: 1 };
    this.run(name, { ...d, constants: { ...shape, ...d.constants }, groups: Math.ceil(rows / shape.ROWS) });
  }

  /** Most bytes of one panel. */
  get panelLimit(): number {
    const { binding, buffer } = this.opened.facts.limits!;
    return Math.min(binding, buffer);
  }

  /** A new tensor whose elements are unspecified. @throws QuantError `gpu-limit`. */
  make(shape: readonly number[], kind: Tensor["kind"] = "float"): GpuTensor {
    const perPanel = rowsPerPanel(shape, this.panelLimit);
    const sizes = panelBytes(shape, perPanel);
    const panels = sizes.map((bytes) => this.pool.take(bytes));
    this.notePeak();
    const total = sizes.reduce((sum, bytes) => sum + bytes, 0);
    return this.tracker.add({ shape, kind, rowsPerPanel: perPanel, panels }, total);
  }

  /** A buffer through which the host reads; `unstage` gives it back. */
  stage(size: number): GPUBuffer {
    this.pool.makeRoom(size);
    this.recorder.open();
    const buffer = this.device.createBuffer({ size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    this.staged += size;
    this.notePeak();
    return buffer;
  }

  unstage(buffer: GPUBuffer): void {
    this.staged -= buffer.size;
    buffer.destroy();
  }

  resetPeak(): void {
    this.heldPeak = this.held;
  }

  /** Bytes of all buffers now. */
  get held(): number {
    return this.pool.bytes + this.staged;
  }

  private notePeak(): void {
    this.heldPeak = Math.max(this.heldPeak, this.held);
  }

  /**
   * Work that takes each row by itself, for every run of rows that lies in one panel of all the tensors: `at` is what such a run of a
   * tensor is bound as.
   */
  rowwise(tensors: readonly GpuTensor[], work: (at: (t: GpuTensor) => Slice, rows: RowRange) => void): void {
    if (!tensors.some(isCut)) {
      work(whole, { first: 0, count: panelShape(tensors[0].shape).rows });
      return;
    }
    for (const rows of rowRuns(...tensors)) work((t) => slice(t, rows), rows);
  }

  free(...tensors: Tensor[]): void {
    for (const t of tensors) this.tracker.free(t as GpuTensor);
  }

  run(name: KernelName, { constants, bind, u32, f32 = [], groups, work = 0 }: Dispatch): void {
    const pipeline = this.pipelines.get(name, constants);
    if (bind.length !== pipeline.bindings)
      throw new QuantError("internal", `kernel ${name} binds ${pipeline.bindings} tensors, got ${bind.length}`);
    const slices = bind.map((b) => ("storage" in b ? b : whole(b)));
    for (const { tensor } of slices) {
      if (!this.tracker.isLive(tensor))
        throw new QuantError("internal", `kernel ${name} got a freed tensor of ${tensor.shape.join(" × ")}`);
    }
    this.recorder.open();
    const group = this.bindGroup(name, pipeline.layout, slices);
    this.recorder.dispatch(pipeline, group, u32, f32, groups, work);
    // After the dispatch it may be the next batch's number; then nothing is pending and the mark only costs one early submit.
    for (const { storage } of slices) storage.used = this.recorder.batch;
  }

  /** A kernel with one invocation for each of n elements. */
  each(name: KernelName, n: number, d: Omit<Dispatch, "groups">): void {
    this.run(name, { ...d, groups: Math.ceil(n / perGroup), work: d.work ?? 10 * n });
  }

  /** Host bytes into rows of a tensor. Commands already recorded must see the old contents, so they go first. */
  write({ storage, offset }: Slice, bytes: Uint8Array): void {
    if (storage.used === this.recorder.batch) this.recorder.submit();
    this.recorder.open();
    const whole = bytes.byteLength - (bytes.byteLength % 4);
    for (let at = 0; at < whole; at += uploadBytes) {
      const part = bytes.subarray(at, Math.min(at + uploadBytes, whole));
      this.device.queue.writeBuffer(storage.buffer, offset + at, part as Uint8Array<ArrayBuffer>);
    }
    if (whole === bytes.byteLength) return;
    const tail = new Uint8Array(4);
    tail.set(bytes.subarray(whole));
    this.device.queue.writeBuffer(storage.buffer, offset + whole, tail);
  }

  clear(t: GpuTensor): void {
    this.rowwise([t], (at) => {
      const { storage, offset, bytes } = at(t);
      this.recorder.command((encoder) => encoder.clearBuffer(storage.buffer, offset, bytes));
      storage.used = this.recorder.batch;
    });
  }

  /** Kernels run over the same few buffers again and again, so their bind groups are kept with the first buffer. */
  private bindGroup(name: KernelName, layout: GPUBindGroupLayout, slices: readonly Slice[]): GPUBindGroup {
    const key = `${name} ${slices.map(({ storage, offset, bytes }) => `${storage.id}:${offset}:${bytes}`).join(" ")}`;
    const { bindGroups } = slices[0].storage;
    const known = bindGroups.get(key);
    if (known) return known;
    const entries = slices.map(({ storage, offset, bytes }, binding) => ({
      binding,
      resource: { buffer: storage.buffer, offset, size: bytes },
    }));
    const made = this.device.createBindGroup({ layout, entries });
    if (bindGroups.size === keptGroups) bindGroups.clear();
    bindGroups.set(key, made);
    return made;
  }
}
