import { describe, expect, it } from "vitest";
import type { GpuTensor } from "../../src/ops/gpu/panels";
import { sizeClass } from "../../src/ops/gpu/pool";
import { stagingPieces } from "../../src/ops/gpu/transfer";
import { openGpuOps } from "../support/gpu";

const gpu = await openGpuOps();
const ones = (n: number) => new Float32Array(n).fill(1);

it("live and peak bytes count tensors; scopes free what is not kept", () => {
  expect(gpu.liveBytes).toBe(0);
  const outer = gpu.scope();
  const a = gpu.zeros([10, 10]);
  const inner = gpu.scope();
  const [b, c] = [gpu.zeros([10, 10]), gpu.zeros([10, 10])];
  inner.keep(b);
  expect(gpu.liveBytes).toBe(1200);
  inner.end();
  expect(gpu.liveBytes).toBe(800);
  expect(() => gpu.free(c)).toThrow("freed twice");
  gpu.free(a);
  expect(gpu.liveBytes).toBe(400);
  expect(gpu.peakBytes).toBeGreaterThanOrEqual(1200);
  gpu.resetPeak();
  expect(gpu.peakBytes).toBe(400);
  outer.end();
  expect(gpu.liveBytes).toBe(0);
  const late = gpu.scope();
  expect(() => gpu.add(b, b)).toThrow("freed tensor");
  late.end();
  expect(gpu.liveBytes).toBe(0);
});

it("every operation frees what it needed on the way", async () => {
  const scope = gpu.scope();
  const n = 70;
  const H = gpu.zeros([n, n]);
  gpu.gram(H, gpu.fromFloats(ones(n * n), [n, n]));
  const before = gpu.liveBytes;
  const bytes = (...shape: number[]) => 4 * Math.ceil(shape.reduce((a, b) => a * b, 1) / 4) * 4;
  gpu.deadInputs(H);
  gpu.damp(H, 0.1);
  gpu.cholesky(H);
  gpu.solveRight(H, H);
  gpu.invertTriangle(H);
  gpu.descendingDiagonal(H);
  gpu.attention(H, H, H, { heads: 1, kvHeads: 1, headDim: n, length: n, slidingWindow: 0 });
  gpu.fromBytes(new Uint8Array(2 * n), "F16", [n]);
  expect(gpu.liveBytes - before).toBe(3 * bytes(n) + 2 * bytes(n, n) + bytes(1));
  scope.end();
  expect(gpu.liveBytes).toBe(0);
  await gpu.flush();
});

describe("buffers are reused", () => {
  it("and zeros is zero in them", async () => {
    gpu.free(gpu.fromFloats(ones(5000), [5000]));
    const z = gpu.zeros([5000]);
    const [values] = await gpu.read([z]);
    gpu.free(z);
    expect(values.every((v) => v === 0)).toBe(true);
  });

  it("without an upload overtaking the commands recorded before it", async () => {
    const scope = gpu.scope();
    const a = gpu.fromFloats(ones(3000), [3000]);
    const sum = gpu.add(a, a);
    gpu.free(a);
    const b = gpu.fromFloats(ones(3000).fill(7), [3000]); // takes a's buffer
    const [first, second] = await gpu.read([sum, b]);
    expect(first.every((v) => v === 2)).toBe(true);
    expect(second.every((v) => v === 7)).toBe(true);
    scope.end();
  });

  it("and a read started before a free sees the old contents", async () => {
    const a = gpu.fromFloats(ones(3000), [3000]);
    const reading = gpu.read([a]);
    gpu.free(a);
    const b = gpu.fromFloats(ones(3000).fill(7), [3000]);
    const [values] = await reading;
    gpu.free(b);
    expect(values.every((v) => v === 1)).toBe(true);
  });

  it("but not where the device would hold more than it may", async () => {
    const small = await openGpuOps();
    const megabyte = () => small.zeros([2 ** 18]);
    // Forgets what opening it left.
    small.limitMemory(0);
    small.limitMemory(null);
    const size = sizeClass(2 ** 20);
    small.free(...[megabyte(), megabyte(), megabyte()]);
    expect(small.heldBytes).toBe(3 * size);
    small.limitMemory(2 * size);
    expect(small.heldBytes).toBe(2 * size);
    small.resetPeak();
    // Of another class: one of the free buffers has to go for it.
    const other = small.zeros([2 ** 17]);
    expect(small.heldBytes).toBe(size + sizeClass(2 ** 19));
    const mine = megabyte();
    expect(small.heldPeakBytes).toBeLessThanOrEqual(2 * size);
    // What is in use is not limited.
    const more = [megabyte(), megabyte()];
    expect(small.heldBytes).toBe(3 * size + sizeClass(2 ** 19));
    await small.flush();
    small.free(other, mine, ...more);
    small.limitMemory(null);
    small.free(...Array.from({ length: 5 }, megabyte));
    expect(small.heldBytes).toBeGreaterThan(2 * size);
  });

  it("in classes that waste a quarter at most, and a sixteenth where they are large", () => {
    for (let bytes = 16; bytes < 1e9; bytes = Math.ceil((bytes * 1.07) / 16) * 16) {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size % 16).toBe(0);
      if (bytes > 256) expect(size).toBeLessThanOrEqual((bytes > 2 ** 20 ? 17 / 16 : 1.25) * bytes);
    }
  });
});

it("a tensor beyond one binding lies in panels, and counts with all of them", async () => {
  const small = await openGpuOps({ limits: { maxStorageBufferBindingSize: 128 * 2 ** 20, maxBufferSize: 256 * 2 ** 20 } });
  const t = small.zeros([8193, 4096]);
  expect((t as GpuTensor).panels.length).toBe(2);
  expect(small.liveBytes).toBe(4 * 8193 * 4096);
  await small.flush();
  small.free(t);
  expect(small.liveBytes).toBe(0);
});

it("reads larger than a staging buffer go in pieces", () => {
  expect(stagingPieces([8, 0, 20, 4], 16)).toEqual([
    [
      { index: 0, at: 0, to: 0, size: 8 },
      { index: 2, at: 8, to: 0, size: 8 },
    ],
    [
      { index: 2, at: 0, to: 8, size: 12 },
      { index: 3, at: 12, to: 0, size: 4 },
    ],
  ]);
});

it("many small operations without a wait between them", async () => {
  const scope = gpu.scope();
  const one = gpu.fromFloats(ones(100), [100]);
  let sum = gpu.zeros([100]);
  for (let i = 0; i < 500; i++) {
    const next = gpu.add(sum, one);
    gpu.free(sum);
    sum = next;
  }
  const [values] = await gpu.read([sum]);
  expect(values.every((v) => v === 500)).toBe(true);
  scope.end();
});

it("more workgroups than one dimension holds are folded into two", async () => {
  const n = 65535 * 64 + 77; // one invocation an element, 64 a workgroup
  const scope = gpu.scope();
  const halves = Uint8Array.from({ length: 2 * n }, (_, i) => (i % 2 === 0 ? i % 251 : 0x3f)); // bf16 between 0.5 and 2
  const [values] = await gpu.read([gpu.fromBytes(halves, "BF16", [n])]);
  const wrong = values.findIndex((v, i) => v !== new Float32Array(Uint32Array.of(((0x3f << 8) | halves[2 * i]) << 16).buffer)[0]);
  expect(wrong).toBe(-1);
  scope.end();
});
