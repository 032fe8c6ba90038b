import { describe, expect, it } from "vitest";
import { openGpuOps } from "../support/gpu";
import { absolute, compute, cpu, expectTwins, randoms, times, ulp } from "./helpers";

/** The kernels of src/ops/gpu/matmul.ts; "auto" is the quad kernel on a software adapter, eight lanes are lavapipe's subgroup. */
const variants = {
  tiled: await openGpuOps({ matmul: "tiled" }),
  auto: await openGpuOps(),
  "eight lanes": await openGpuOps({ matmul: 8 }),
};
const random = randoms(3);

/** |error| ≤ (k + 2)·2⁻²⁴·Σ|aᵢbᵢ|, whatever the order of the sum; + the scaling by alpha and the store. */
const bounded = async (a: Float32Array, as: number[], b: Float32Array, bs: number[], form: "linear" | "matmul") => {
  const sizes = await compute(
    [
      [absolute(a), as],
      [absolute(b), bs],
    ],
    (x, y) => cpu[form](x, y),
  );
  return times(sizes, (as[1] + 2) * ulp);
};

const shapes = [
  [1, 1, 1],
  [1, 64, 4],
  [15, 16, 17],
  [16, 16, 16],
  [17, 15, 20],
  [63, 65, 64],
  [64, 64, 68],
  [65, 63, 67],
  [67, 61, 59],
  [128, 20, 192],
  [33, 130, 8],
];

describe.each(Object.entries(variants))("%s", (name, gpu) => {
  it("is the kernel that is meant", () => {
    expect(gpu.matmulForm).toMatch(name === "tiled" ? /^tiles of 64/ : /^quads/);
    expect(gpu.adapter.products).toEqual({ form: gpu.matmulForm, rate: null });
  });

  it.each(shapes)("linear and matmul of %i × %i over %i", async (m, n, k) => {
    const [x, w, b] = [random([m, k]), random([n, k]), random([k, n])];
    const bounds = [await bounded(x, [m, k], w, [n, k], "linear"), await bounded(x, [m, k], b, [k, n], "matmul")];
    await expectTwins(
      gpu,
      (o) => {
        const a = o.fromFloats(x, [m, k]);
        return [o.linear(a, o.fromFloats(w, [n, k])), o.matmul(a, o.fromFloats(b, [k, n]))];
      },
      (_, i) => bounds[i],
    );
  });

  it.each([256, 4096])("equal terms, which drift the same way at every step, over %i", async (k) => {
    const [x, w] = [new Float32Array(3 * k).fill(0.3), new Float32Array(5 * k).fill(0.7)];
    await expectTwins(
      gpu,
      (o) => [o.linear(o.fromFloats(x, [3, k]), o.fromFloats(w, [5, k])), o.matmul(o.fromFloats(x, [3, k]), o.fromFloats(w, [k, 5]))],
      // Runs of 32, then the sum of the runs.
      (e) => times(e, (32 + k / 32 + 4) * ulp),
    );
  });

  it("refuses shapes that do not fit, in a sentence", () => {
    const scope = gpu.scope();
    const [a, b, v] = [gpu.zeros([3, 4]), gpu.zeros([5, 6]), gpu.zeros([4])];
    expect(() => gpu.linear(a, b)).toThrow("linear got inputs and weights of 3 × 4 and 5 × 6");
    expect(() => gpu.matmul(a, b)).toThrow("matmul got 3 × 4 and 5 × 6");
    expect(() => gpu.matmul(a, v)).toThrow("matmul got 3 × 4 and 4");
    scope.end();
  });
});

it("a product beyond one dispatch's work is cut by rows and still whole", async () => {
  const gpu = await openGpuOps({ budget: 1e5 }); // two row tiles of this shape at a time
  const [m, n, k] = [150, 36, 40];
  const [x, w] = [random([m, k]), random([n, k])];
  const bound = await bounded(x, [m, k], w, [n, k], "linear");
  await expectTwins(
    gpu,
    (o) => o.linear(o.fromFloats(x, [m, k]), o.fromFloats(w, [n, k])),
    () => bound,
  );
});

it("empty and one-row operands", async () => {
  const gpu = variants.auto;
  const scope = gpu.scope();
  const none = gpu.linear(gpu.zeros([0, 8]), gpu.zeros([4, 8]));
  expect(none.shape).toEqual([0, 4]);
  expect((await gpu.read([none]))[0].length).toBe(0);
  scope.end();
});

describe("a trial of all forms", () => {
  const choices = (kept: string | null) => {
    const told: string[] = [];
    return { told, read: async () => kept, keep: async (adapter: string, form: string) => void told.push(`${adapter}: ${form}`) };
  };

  // Which one is the fastest is not tested: on a busy machine it is any.
  it("picks a form, tells its rate and keeps it", async () => {
    const memory = choices(null);
    const gpu = await openGpuOps({ matmul: "measured", choices: memory });
    expect(gpu.adapter.products!.rate).toBeGreaterThan(1e6);
    expect(memory.told).toEqual([`${gpu.adapter.description}: ${gpu.matmulForm}`]);
    expect(gpu.liveBytes).toBe(0);
    const again = await openGpuOps({ matmul: "measured", choices: choices(gpu.matmulForm) });
    expect(again.adapter.products).toEqual({ form: gpu.matmulForm, rate: null });
  });

  it("is not made again where its outcome is kept", async () => {
    const memory = choices("tiles of 64 × 64, 4 deep");
    const gpu = await openGpuOps({ matmul: "measured", choices: memory });
    expect(gpu.adapter.products).toEqual({ form: "tiles of 64 × 64, 4 deep", rate: null });
    expect(memory.told).toEqual([]);
  });

  it("is made where what is kept is no form of this adapter", async () => {
    const memory = choices("of a later version");
    const gpu = await openGpuOps({ matmul: "measured", choices: memory });
    expect(memory.told).toEqual([`${gpu.adapter.description}: ${gpu.matmulForm}`]);
  });
});
