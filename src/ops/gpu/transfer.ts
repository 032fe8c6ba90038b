import { QuantError } from "../../errors";
import { letEventsIn } from "../../io/turn";
import { elements, type FloatDtype, type Tensor } from "../ops";
import { requireShape } from "../shape";
import type { Gpu, GpuTensor } from "./gpu";
import { panelShape } from "./panels";
import type { PoolBuffer } from "./pool";

/** Most bytes of one staging buffer; more is read in several pieces. */
const stagingBytes = 256 * 2 ** 20;

export function upload(gpu: Gpu, data: Float32Array | Uint32Array, shape: readonly number[]): GpuTensor {
  const kind = data instanceof Uint32Array ? "uint" : "float";
  requireShape(data.length === elements(shape), `${kind} tensor`, `${data.length} numbers for the shape ${shape.join(" × ")}`);
  const t = gpu.make(shape, kind);
  writeRows(gpu, t, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
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
    writeRows(gpu, t, bytes);
    return t;
  }
  const { columns } = panelShape(shape);
  gpu.rowwise([t], (at, { first, count }) => {
    const size = count * columns;
    const words = gpu.make([Math.ceil(size / 2)], "uint");
    writeRows(gpu, words, bytes.subarray(2 * first * columns, 2 * (first * columns + size)));
    gpu.each("unpack", size, { constants: { F16: dtype === "F16" ? 1 : 0 }, bind: [words, at(t)], u32: [size] });
    gpu.free(words);
  });
  return t;
}

/** All bytes of a tensor, row after row. */
function writeRows(gpu: Gpu, t: GpuTensor, bytes: Uint8Array): void {
  const rowBytes = 4 * panelShape(t.shape).columns;
  gpu.rowwise([t], (at, { first, count }) => gpu.write(at(t), bytes.subarray(first * rowBytes, (first + count) * rowBytes)));
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
  // The news of a lost device may come just after the wait ends.
  await letEventsIn();
  gpu.faults.check();
}

/** The bytes of each tensor. The copies are recorded before the first wait, so the caller may free the tensors at once. */
export async function readBytes(gpu: Gpu, tensors: readonly Tensor[]): Promise<ArrayBuffer[]> {
  const results = tensors.map((t) => new Uint8Array(elements(t.shape) * 4));
  const sources = tensors.flatMap((t, i) => sourcesOf(gpu, t as GpuTensor, results[i]));
  const stagings = stage(gpu, sources);
  gpu.recorder.submit();
  try {
    for (const s of stagings) await collect(s, sources);
  } catch (e) {
    await gpu.faults.awaitLoss();
    await gpu.faults.settle();
    gpu.faults.check();
    throw new QuantError("gpu-fault", e instanceof Error ? e.message : String(e), "", { cause: e });
  } finally {
    for (const s of stagings) gpu.unstage(s.buffer);
  }
  await gpu.faults.settle();
  gpu.faults.check();
  return results.map((r) => r.buffer);
}

/** A panel to be read, and where its bytes go. */
interface Source {
  storage: PoolBuffer;
  into: Uint8Array;
}

function sourcesOf(gpu: Gpu, t: GpuTensor, result: Uint8Array): Source[] {
  requireShape(gpu.tracker.isLive(t), "read", `a freed tensor of ${t.shape.join(" × ")}`);
  const panelBytes = 4 * t.rowsPerPanel * panelShape(t.shape).columns;
  return t.panels.map((storage, number) => ({ storage, into: result.subarray(number * panelBytes, (number + 1) * panelBytes) }));
}

/** A part of a source in a staging buffer: `size` bytes at `at`, to be put at `to` of source number `index`. */
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

function stage(gpu: Gpu, sources: readonly Source[]): Staging[] {
  const limit = Math.min(stagingBytes, gpu.device.limits.maxBufferSize);
  const plans = stagingPieces(
    sources.map(({ into }) => into.byteLength),
    limit,
  );
  return plans.map((pieces) => {
    const last = pieces[pieces.length - 1];
    const buffer = gpu.stage(last.at + last.size);
    for (const { index, at, to, size } of pieces) {
      const { storage } = sources[index];
      gpu.recorder.command((encoder) => encoder.copyBufferToBuffer(storage.buffer, to, buffer, at, size));
      storage.used = gpu.recorder.batch;
    }
    return { buffer, pieces };
  });
}

/** Cuts sources of the given sizes (multiples of 4 bytes) into staging buffers of at most `limit` bytes. */
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

async function collect({ buffer, pieces }: Staging, sources: readonly Source[]): Promise<void> {
  await buffer.mapAsync(GPUMapMode.READ);
  const bytes = new Uint8Array(buffer.getMappedRange());
  for (const { index, at, to, size } of pieces) sources[index].into.set(bytes.subarray(at, at + size), to);
  buffer.unmap();
}
