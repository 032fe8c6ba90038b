import { describe, expect, test } from "vitest";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { type Activation, Activations, using } from "../../src/ops/activations";
import { createCpuOps } from "../../src/ops/cpu";
import type { Ops } from "../../src/ops/ops";
import { openGpuOps } from "../support/gpu";

/** Four numbers of 16 bytes each (by the GPU's count). */
const tensorOf = (ops: Ops, n: number) => ops.fromFloats([n + 0.1, n + 1 / 3, -n, Math.fround(n / 7)], [2, 2]);
const held = (all: Activations, n: number): Promise<Activation> => all.hold(tensorOf(all.ops, n));
const valuesOf = (all: Activations, activation: Activation) => using(activation, async (tensor) => [...(await all.ops.read([tensor]))[0]]);

describe.each([
  ["the float64 reference", async (): Promise<Ops> => createCpuOps()],
  ["WebGPU", () => openGpuOps()],
] as const)("activations on %s", (_, open) => {
  test.each([
    ["stay on the device while there is room", { device: 1000, host: 1000, kept: 0 }, 0],
    ["go to the host beyond it", { device: 32, host: 1000, kept: 0 }, 0],
    ["and to scratch beyond that", { device: 32, host: 32, kept: 0 }, 3],
    ["all of them, where nothing may stay", { device: 0, host: 0, kept: 0 }, 6],
  ])("%s, and come back as they were", async (_, budget, inScratch) => {
    const ops = await open();
    const scratch = memoryScratch();
    const all = new Activations(ops, async () => scratch, budget);
    const before = ops.liveBytes;
    await all.job(async () => {
      const many: Activation[] = [];
      for (let n = 0; n < 6; n++) many.push(await held(all, n));
      const want = await Promise.all([0, 1, 2, 3, 4, 5].map(async (n) => [...(await ops.read([tensorOf(ops, n)]))[0]]));
      expect((await scratch.names()).length).toBeGreaterThanOrEqual(inScratch ? inScratch - 1 : 0);
      for (let round = 0; round < 3; round++)
        for (const [n, activation] of many.entries()) expect(await valuesOf(all, activation)).toEqual(want[n]);
      // Used ones do not leave under a user's hands, whatever the budget.
      const tensors = await Promise.all(many.map((a) => a.acquire()));
      expect((await ops.read(tensors)).map((v) => [...v])).toEqual(want);
      for (const activation of many) activation.release();
    });
    expect(ops.liveBytes).toBe(before);
    expect(await scratch.names()).toEqual([]);
  });

  test("what is kept for another job outlives this one, and is the first to leave", async () => {
    const ops = await open();
    const all = new Activations(ops, async () => memoryScratch(), { device: 48, host: 1000, kept: 1000 });
    const before = ops.liveBytes;
    const kept = await all.job(async () => {
      const mine = await held(all, 1);
      await all.keep(mine);
      await held(all, 2);
      await held(all, 3);
      return mine;
    });
    expect(ops.liveBytes - before).toBe(ops.adapter.kind === "cpu" ? 32 : 16);
    await all.job(async () => {
      for (let n = 0; n < 3; n++) await held(all, n);
      // Three of the job's own fill the budget.
      expect(await valuesOf(all, kept)).toHaveLength(4);
    });
    expect(await valuesOf(all, kept)).toHaveLength(4);
    kept.free();
    expect(ops.liveBytes).toBe(before);
  });
});

test("the youngest leaves first: streams come by in a circle, and find the oldest where they were", async () => {
  const cpu = createCpuOps();
  let reads = 0;
  const ops: Ops = Object.create(cpu, {
    read: {
      value: (...args: Parameters<Ops["read"]>) => {
        reads++;
        return cpu.read(...args);
      },
    },
  });
  const all = new Activations(ops, async () => memoryScratch(), { device: 32, host: 1000, kept: 0 });
  const [a, b] = [await held(all, 1), await held(all, 2)];
  expect(reads).toBe(0);
  const c = await held(all, 3);
  expect(reads).toBe(1);
  for (const activation of [a, b]) await using(activation, () => {});
  expect(reads).toBe(1);
  await using(c, () => {});
  expect(reads).toBe(2);
});

test("room that is reserved is made, and given back", async () => {
  const ops = createCpuOps();
  const all = new Activations(ops, async () => memoryScratch(), { device: 64, host: 1000, kept: 0 });
  // The reference's tensors take 32 bytes, of which a budget counts 16, as on a GPU.
  for (let n = 0; n < 4; n++) await held(all, n);
  expect(ops.liveBytes).toBe(4 * 32);
  const release = await all.reserve(40);
  expect(ops.liveBytes).toBe(1 * 32);
  release();
  for (let n = 0; n < 4; n++) await held(all, n);
  expect(ops.liveBytes).toBe(4 * 32);
});

describe("bytes are counted where they are", () => {
  /** With a count of what was written to scratch. */
  function counted(budget: { device: number; host: number; kept: number }) {
    const scratch = memoryScratch();
    let written = 0;
    const counting: Scratch = {
      ...scratch,
      write(...args) {
        written++;
        return scratch.write(...args);
      },
    };
    const ops = createCpuOps();
    return { ops, all: new Activations(ops, async () => counting, budget), written: () => written };
  }

  test("what came back from the host, or was freed there, makes room for others", async () => {
    const { all, written } = counted({ device: 16, host: 32, kept: 1000 });
    for (let round = 0; round < 4; round++) {
      const many = [await held(all, 1), await held(all, 2), await held(all, 3)];
      for (const activation of [...many, ...many]) await using(activation, () => {});
      for (const activation of many) activation.free();
    }
    expect(written()).toBe(0);
  });

  test("what was kept and is freed makes room for what is kept next", async () => {
    const { all, written } = counted({ device: 1000, host: 1000, kept: 32 });
    for (let round = 0; round < 4; round++) {
      const many = [await held(all, 1), await held(all, 2)];
      for (const activation of many) await all.keep(activation);
      // A second time counts nothing more.
      for (const activation of many) await all.keep(activation);
      for (const activation of many) activation.free();
    }
    expect(written()).toBe(0);
  });

  test("no more is kept in memory than may be, although each of it comes back when it is used", async () => {
    const { ops, all } = counted({ device: 1000, host: 1000, kept: 32 });
    const many = [await held(all, 1), await held(all, 2), await held(all, 3)];
    for (const activation of many) await all.keep(activation);
    for (const activation of [...many, ...many]) {
      await using(activation, () => {});
      // Two of 32 bytes each in float64.
      expect(ops.liveBytes).toBe(64);
    }
    for (const activation of many) activation.free();
    expect(ops.liveBytes).toBe(0);
  });
});
