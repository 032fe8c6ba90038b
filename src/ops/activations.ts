import type { Scratch } from "../io/scratch";
import { elements, type Floats, type Ops, type Tensor } from "./ops";

/** A float tensor that may leave the device while it is not in use. */
export interface Activation {
  readonly shape: readonly number[];
  /** Brings it to the device, where it stays until `release`. Each `acquire` needs one `release`. */
  acquire(): Promise<Tensor>;
  release(): void;
  free(): void;
}

/** Bytes that activations may take on the device and in host memory; the rest goes to scratch. */
export interface ActivationBudget {
  device: number;
  host: number;
  /** Limit, device and host together, for what is kept for a later job. It would grow with the depth of the model, and memory must not. */
  kept: number;
}

export const defaultBudget: ActivationBudget = { device: 2 ** 30, host: 2 ** 30, kept: 2 ** 28 };

/** All live activations, those of streams and those of recordings, under one budget. */
export class Activations {
  private readonly held = new Set<Held>();
  private deviceBytes = 0;
  private hostBytes = 0;
  /** Bytes of kept activations that are in memory, on the device or on the host. */
  private keptBytes = 0;
  private made = 0;
  /** Bytes of the device's budget that are left to others' tensors. */
  private reserved = 0;

  /** @param scratch opens the scratch storage; called when host memory is used up for the first time. */
  constructor(
    readonly ops: Ops,
    private readonly scratch: () => Promise<Scratch>,
    private budget: ActivationBudget = defaultBudget,
  ) {}

  /** Sets another budget, before a job. */
  limit(budget: ActivationBudget): void {
    this.budget = budget;
  }

  /** Bytes that activations may take on the device. */
  get deviceBudget(): number {
    return this.budget.device;
  }

  /** Leaves so much of the device's budget to tensors of the caller's, until it calls what it gets. */
  async reserve(bytes: number): Promise<() => void> {
    this.reserved += bytes;
    await this.makeRoom();
    return () => {
      this.reserved -= bytes;
    };
  }

  /** Takes ownership of the tensor. */
  async hold(tensor: Tensor): Promise<Activation> {
    const held = new Held(this, `activation-${this.made++}`, tensor);
    this.held.add(held);
    this.deviceBytes += held.bytes;
    await this.makeRoom();
    return held;
  }

  /** Keeps an activation for another job: it outlives this one, and is the first to leave the device. */
  async keep(activation: Activation): Promise<void> {
    const held = activation as Held;
    if (held.isKept) return;
    held.isKept = true;
    if (held.tensor || held.host) this.keptBytes += held.bytes;
    await this.makeRoom();
  }

  /** Runs a job and frees its temporaries however it ends. What is kept for a later job stays. One job at a time. */
  async job<T>(work: () => Promise<T>): Promise<T> {
    const scope = this.ops.scope();
    try {
      return await work();
    } finally {
      for (const held of this.held)
        if (!held.isKept) this.free(held);
        else if (held.tensor) scope.keep(held.tensor);
      scope.end();
    }
  }

  async acquire(held: Held): Promise<Tensor> {
    held.users++;
    // The most recently used leaves first: streams go round the chunks in order, so the least recently used is needed next.
    this.held.delete(held);
    this.held.add(held);
    if (held.tensor) return held.tensor;
    const floats = held.host ?? asFloats(await (await this.scratch()).read(held.name), held.isDouble);
    if (held.host) this.hostBytes -= held.bytes;
    else if (held.isKept) this.keptBytes += held.bytes;
    held.host = null;
    held.tensor = this.ops.fromFloats(floats, held.shape);
    this.deviceBytes += held.bytes;
    await this.makeRoom();
    return held.tensor;
  }

  free(held: Held): void {
    if (!this.held.delete(held)) return;
    if (held.tensor) {
      this.deviceBytes -= held.bytes;
      this.ops.free(held.tensor);
    }
    if (held.host) this.hostBytes -= held.bytes;
    if (held.isKept && (held.tensor || held.host)) this.keptBytes -= held.bytes;
    // Nobody waits for the file to go. If removing it fails, it goes the next time that scratch is opened.
    if (held.inScratch)
      this.scratch()
        .then((scratch) => scratch.remove(held.name))
        .catch(() => {});
  }

  private async makeRoom(): Promise<void> {
    while (this.keptBytes > this.budget.kept) {
      const held = this.next((h) => h.isKept && (h.tensor !== null || h.host !== null) && h.users === 0);
      if (!held) break;
      if (held.tensor) await this.toHost(held);
      if (held.host) await this.toScratch(held);
    }
    while (this.deviceBytes > this.budget.device - this.reserved) {
      const held = this.next((h) => h.tensor !== null && h.users === 0);
      if (!held) break;
      await this.toHost(held);
    }
    while (this.hostBytes > this.budget.host) {
      const held = this.next((h) => h.host !== null);
      if (!held) break;
      await this.toScratch(held);
    }
  }

  /** The one to leave next: one that is kept for a later job, else the most recently used. */
  private next(mayLeave: (held: Held) => boolean): Held | undefined {
    let chosen: Held | undefined;
    for (const held of this.held) if (mayLeave(held) && (held.isKept || !chosen?.isKept)) chosen = held;
    return chosen;
  }

  private async toHost(held: Held): Promise<void> {
    const tensor = held.tensor!;
    if (!held.inScratch) {
      const [floats] = await this.ops.read([tensor]);
      // It was acquired or freed while we read it.
      if (held.tensor !== tensor || held.users > 0) return;
      held.host = floats;
      held.isDouble = floats instanceof Float64Array;
      this.hostBytes += held.bytes;
    }
    held.tensor = null;
    this.deviceBytes -= held.bytes;
    if (held.isKept && !held.host) this.keptBytes -= held.bytes;
    this.ops.free(tensor);
  }

  private async toScratch(held: Held): Promise<void> {
    const { buffer, byteOffset, byteLength } = held.host!;
    await (await this.scratch()).write(held.name, [new Uint8Array(buffer, byteOffset, byteLength)]);
    held.inScratch = true;
    held.host = null;
    this.hostBytes -= held.bytes;
    if (held.isKept) this.keptBytes -= held.bytes;
  }
}

/** An activation is in one place, and perhaps in scratch too: it never changes, so its file stays valid. */
class Held implements Activation {
  readonly shape: readonly number[];
  readonly bytes: number;
  users = 0;
  isKept = false;
  host: Floats | null = null;
  inScratch = false;
  /** True for the reference, which computes in float64. */
  isDouble = false;

  constructor(
    private readonly all: Activations,
    readonly name: string,
    public tensor: Tensor | null,
  ) {
    this.shape = tensor!.shape;
    this.bytes = elements(this.shape) * 4;
  }

  acquire(): Promise<Tensor> {
    return this.all.acquire(this);
  }

  release(): void {
    this.users--;
  }

  free(): void {
    this.all.free(this);
  }
}

const asFloats = (bytes: Uint8Array, isDouble: boolean): Floats =>
  isDouble ? new Float64Array(bytes.buffer as ArrayBuffer) : new Float32Array(bytes.buffer as ArrayBuffer);

/** Work on an activation while it is on the device. */
export async function using<T>(activation: Activation, work: (tensor: Tensor) => T | Promise<T>): Promise<T> {
  const tensor = await activation.acquire();
  try {
    return await work(tensor);
  } finally {
    activation.release();
  }
}
