import { QuantError } from "../../errors";
import { elements, type FloatDtype, type Tensor } from "../ops";
import type { Gpu, GpuTensor } from "./gpu";
import { requireShape } from "./shape";

/** Most bytes of one staging buffer; more is read in several pieces. */
const stagingBytes = 256 * 2 ** 20;

export function upload(gpu: Gpu, data: Float32Array | Uint32Array, shape: readonly number[]): GpuTensor {
  const kind = data instanceof Uint32Array ? "uint" : "float";
  requireShape(data.length === elements(shape), `${kind} tensor`, `${data.length} numbers for the shape ${shape.join(" × ")}`);
  const t = gpu.make(shape, kind);
  gpu.write(t, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return t;
}

/** Checkpoint bytes: f32 as they are, halves as words that a kernel unpacks. */
export function fromBytes(gpu: Gpu, bytes: Uint8Array, dtype: FloatDtype, shape: readonly number[]): GpuTensor {
  const n = elements(shape);
  requireShape(
    bytes.byteLength === n * (dtype === "F32" ? 4 : 2),
    "fromBytes",
    `${bytes.byteLength} bytes of ${dtype} for the shape ${shape.join(" × ")}`,
  );
  const t = gpu.make(shape);
  if (dtype === "F32") {
    gpu.write(t, bytes);
    return t;
  }
  const words = gpu.make([Math.ceil(n / 2)], "uint");
  gpu.write(words, bytes);
  gpu.each("unpack", n, { constants: { F16: dtype === "F16" ? 1 : 0 }, bind: [words, t], u32: [n] });
  gpu.free(words);
  return t;
}

/** Submits everything and waits for it. @throws QuantError device-lost, gpu-out-of-memory or gpu-fault. */
export async function flush(gpu: Gpu): Promise<void> {
  gpu.recorder.submit();
  try {
    await gpu.device.queue.onSubmittedWorkDone();
  } catch {
    await gpu.faults.awaitLoss();
  }
  await gpu.faults.settle();
  await nextTask();
  gpu.faults.check();
}

/** Lets other events run: a cancel, and the news of a lost device, which may come just after the wait ends. Timers are throttled in hidden tabs. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(0);
  });
}

/** The bytes of each tensor. The copies are recorded before the first wait, so the caller may free the tensors at once. */
export async function readBytes(gpu: Gpu, tensors: readonly Tensor[]): Promise<ArrayBuffer[]> {
  const results = tensors.map((t) => new Uint8Array(elements(t.shape) * 4));
  const stagings = stage(gpu, tensors as readonly GpuTensor[]);
  gpu.recorder.submit();
  try {
    for (const s of stagings) await collect(s, results);
  } catch (e) {
    await gpu.faults.awaitLoss();
    await gpu.faults.settle();
    gpu.faults.check();
    throw new QuantError("gpu-fault", e instanceof Error ? e.message : String(e), "", { cause: e });
  } finally {
    for (const s of stagings) s.buffer.destroy();
  }
  await gpu.faults.settle();
  gpu.faults.check();
  return results.map((r) => r.buffer);
}

/** A part of a tensor in a staging buffer: `size` bytes at `at`, to be put at `to` of tensor number `index`. */
interface Piece {
  index: number;
  at: number;
  to: number;
  size: number;
}

interface Staging {
  buffer: GPUBuffer;
  pieces: Piece[];
}

function stage(gpu: Gpu, tensors: readonly GpuTensor[]): Staging[] {
  const limit = Math.min(stagingBytes, gpu.device.limits.maxBufferSize);
  const plans = stagingPieces(
    tensors.map((t) => elements(t.shape) * 4),
    limit,
  );
  return plans.map((pieces) => {
    gpu.recorder.open();
    const last = pieces[pieces.length - 1];
    const buffer = gpu.device.createBuffer({ size: last.at + last.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    for (const { index, at, to, size } of pieces) {
      requireShape(gpu.tracker.isLive(tensors[index]), "read", `a freed tensor of ${tensors[index].shape.join(" × ")}`);
      gpu.recorder.command((encoder) => encoder.copyBufferToBuffer(tensors[index].storage.buffer, to, buffer, at, size));
      tensors[index].storage.used = gpu.recorder.batch;
    }
    return { buffer, pieces };
  });
}

/** Cuts tensors of the given sizes (multiples of 4 bytes) into staging buffers of at most `limit` bytes. */
export function stagingPieces(sizes: readonly number[], limit: number): Piece[][] {
  const plans: Piece[][] = [];
  let room = 0;
  for (const [index, total] of sizes.entries()) {
    for (let to = 0; to < total; ) {
      if (room === 0) {
        plans.push([]);
        room = limit;
      }
      const size = Math.min(total - to, room);
      plans[plans.length - 1].push({ index, at: limit - room, to, size });
      to += size;
      room -= size;
    }
  }
  return plans;
}

async function collect({ buffer, pieces }: Staging, results: readonly Uint8Array[]): Promise<void> {
  await buffer.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(buffer.getMappedRange());
  for (const { index, at, to, size } of pieces) results[index].set(bytes.subarray(at, at + size), to);
  buffer.unmap();
}
