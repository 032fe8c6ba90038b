import { QuantError } from "../../errors";
import { elements, type Tensor } from "../ops";
import { Tracker } from "../tracker";
import type { DeviceOptions, OpenedGpu } from "./device";
import { Faults } from "./faults";
import type { KernelName } from "./kernels";
import { type Constants, Pipelines } from "./pipelines";
import { Pool, type PoolBuffer } from "./pool";
import { Recorder } from "./recorder";

export interface GpuTensor extends Tensor {
  readonly storage: PoolBuffer;
  /** Bytes bound to kernels: the elements' rounded up to 16, so that the last vector of four is whole. */
  readonly bytes: number;
}

/** One dispatch: what runs, over which tensors (in binding order), with which parameters. */
export interface Dispatch {
  constants?: Constants;
  bind: readonly GpuTensor[];
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
  readonly tracker = new Tracker<GpuTensor>((t) => this.pool.give(t.storage));
  readonly software: boolean;

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

  /** A new tensor whose elements are unspecified. */
  make(shape: readonly number[], kind: Tensor["kind"] = "float"): GpuTensor {
    const bytes = Math.ceil(Math.max(elements(shape) * 4, 16) / 16) * 16;
    const storage = this.pool.take(bytes, `a tensor of ${shape.join(" × ")}`);
    return this.tracker.add({ shape, kind, storage, bytes }, bytes);
  }

  free(...tensors: Tensor[]): void {
    for (const t of tensors) this.tracker.free(t as GpuTensor);
  }

  run(name: KernelName, { constants, bind, u32, f32 = [], groups, work = 0 }: Dispatch): void {
    const pipeline = this.pipelines.get(name, constants);
    if (bind.length !== pipeline.bindings)
      throw new QuantError("internal", `kernel ${name} binds ${pipeline.bindings} tensors, got ${bind.length}`);
    for (const t of bind) {
      if (!this.tracker.isLive(t)) throw new QuantError("internal", `kernel ${name} got a freed tensor of ${t.shape.join(" × ")}`);
    }
    this.recorder.open();
    const group = this.bindGroup(name, pipeline.layout, bind);
    this.recorder.dispatch(pipeline, group, u32, f32, groups, work);
    // After the dispatch it may be the next batch's number; then nothing is pending and the mark only costs one early submit.
    for (const t of bind) t.storage.used = this.recorder.batch;
  }

  /** A kernel with one invocation for each of n elements. */
  each(name: KernelName, n: number, d: Omit<Dispatch, "groups">): void {
    this.run(name, { ...d, groups: Math.ceil(n / perGroup), work: d.work ?? 10 * n });
  }

  /** Host bytes into a tensor. Commands already recorded must see the old contents, so they go first. */
  write(t: GpuTensor, bytes: Uint8Array): void {
    if (t.storage.used === this.recorder.batch) this.recorder.submit();
    this.recorder.open();
    const whole = bytes.byteLength - (bytes.byteLength % 4);
    for (let at = 0; at < whole; at += uploadBytes) {
      const part = bytes.subarray(at, Math.min(at + uploadBytes, whole));
      this.device.queue.writeBuffer(t.storage.buffer, at, part as Uint8Array<ArrayBuffer>);
    }
    if (whole === bytes.byteLength) return;
    const tail = new Uint8Array(4);
    tail.set(bytes.subarray(whole));
    this.device.queue.writeBuffer(t.storage.buffer, whole, tail);
  }

  clear(t: GpuTensor): void {
    this.recorder.command((encoder) => encoder.clearBuffer(t.storage.buffer, 0, t.bytes));
    t.storage.used = this.recorder.batch;
  }

  /** Kernels run over the same few buffers again and again, so their bind groups are kept with the first buffer. */
  private bindGroup(name: KernelName, layout: GPUBindGroupLayout, bind: readonly GpuTensor[]): GPUBindGroup {
    const key = `${name} ${bind.map((t) => `${t.storage.id}:${t.bytes}`).join(" ")}`;
    const { bindGroups } = bind[0].storage;
    const known = bindGroups.get(key);
    if (known) return known;
    const entries = bind.map((t, binding) => ({ binding, resource: { buffer: t.storage.buffer, size: t.bytes } }));
    const made = this.device.createBindGroup({ layout, entries });
    if (bindGroups.size === keptGroups) bindGroups.clear();
    bindGroups.set(key, made);
    return made;
  }
}
