import type { Faults } from "./faults";
import type { Recorder } from "./recorder";

/** A buffer of the pool. */
export interface PoolBuffer {
  readonly id: number;
  readonly buffer: GPUBuffer;
  readonly size: number;
  /** `Faults.generation` when it was made. */
  readonly generation: number;
  /** Number of the last batch that uses it. */
  used: number;
  /** Bind groups whose first buffer this is. */
  readonly bindGroups: Map<string, GPUBindGroup>;
}

/** Most bytes of free buffers that are kept for reuse; beyond it those go that were unused longest. */
const keepBytes = 256 * 2 ** 20;

/** From so many bytes on, classes are four times as fine. */
const largeBytes = 2 ** 20;

/**
 * Bytes of the size class: four classes to each power of two, so at most a quarter is wasted, and sixteen for large buffers, of which at most a sixteenth is;
 * a multiple of 16 for vec4 access.
 */
export function sizeClass(bytes: number): number {
  if (bytes <= 256) return 256;
  const step = 2 ** (Math.floor(Math.log2(bytes - 1)) - (bytes > largeBytes ? 4 : 2));
  return Math.ceil(bytes / step) * step;
}

/**
 * Buffers by size class, handed out again as soon as they are freed: everything runs on one queue in order, so the next user's commands
 * come after the last one's. (Host writes do not queue behind recorded commands; see Gpu.write.)
 */
export class Pool {
  private readonly free = new Map<number, PoolBuffer[]>();
  private readonly order: PoolBuffer[] = [];
  private freeBytes = 0;
  private nextId = 1;
  /** Bytes of all buffers, free ones included. */
  bytes = 0;
  /** Free buffers go before there would be more bytes than this. */
  limit = Number.POSITIVE_INFINITY;

  constructor(
    private readonly device: GPUDevice,
    private readonly recorder: Recorder,
    private readonly faults: Faults,
  ) {}

  /** @param bytes a multiple of 16, no more than the device binds at once. */
  take(bytes: number): PoolBuffer {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    const size = Math.min(sizeClass(bytes), Math.floor(Math.min(maxStorageBufferBindingSize, maxBufferSize) / 16) * 16);
    const known = this.free.get(size)?.pop();
    if (known) {
      this.forget(known);
      return known;
    }
    this.makeRoom(size);
    this.recorder.open();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.device.createBuffer({ size, usage });
    this.bytes += size;
    return { id: this.nextId++, buffer, size, generation: this.faults.generation, used: 0, bindGroups: new Map() };
  }

  give(block: PoolBuffer): void {
    if (block.generation !== this.faults.generation) {
      this.destroyLater(block);
      return;
    }
    const same = this.free.get(block.size);
    if (same) same.push(block);
    else this.free.set(block.size, [block]);
    this.order.push(block);
    this.freeBytes += block.size;
    while (this.freeBytes > keepBytes) this.drop(this.order[0]);
  }

  /** Gives free buffers up, so that `size` bytes more stay within the limit if they can. */
  makeRoom(size: number): void {
    while (this.bytes + size > this.limit && this.order.length) this.drop(this.order[0]);
  }

  private drop(block: PoolBuffer): void {
    this.forget(block);
    const same = this.free.get(block.size)!;
    same.splice(same.indexOf(block), 1);
    this.destroyLater(block);
  }

  private forget(block: PoolBuffer): void {
    this.order.splice(this.order.lastIndexOf(block), 1);
    this.freeBytes -= block.size;
  }

  /** Commands that are not yet submitted must not use a destroyed buffer. */
  private destroyLater(block: PoolBuffer): void {
    if (block.used === this.recorder.batch) this.recorder.submit();
    block.buffer.destroy();
    this.bytes -= block.size;
  }
}
