import { afterAll } from "vitest";
import { createGpuOps, type GpuOps, type GpuOptions } from "../../src/ops/gpu/index";
import { openNodeGpu } from "../../src/ops/gpu/node";

const opened: GpuOps[] = [];
afterAll(() => {
  for (const ops of opened) ops.destroy();
});

/** Ops on Dawn in Node, on the driver that `openNodeGpu` finds; released when the test file is done. */
export async function openGpuOps(options: GpuOptions = {}): Promise<GpuOps> {
  const ops = await createGpuOps(await openNodeGpu(), options);
  opened.push(ops);
  return ops;
}

/** The same as on hardware: many lanes reduce a row there, on a software adapter one. */
export async function openHardwareOps(): Promise<GpuOps> {
  const gpu = await openNodeGpu();
  const renamed = (adapter: GPUAdapter) =>
    new Proxy(adapter, {
      get(target, name) {
        if (name === "info") return { vendor: "a vendor", architecture: "", device: "", description: "", isFallbackAdapter: false };
        const value = target[name as keyof GPUAdapter] as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  const requestAdapter: GPU["requestAdapter"] = async (options) => {
    const adapter = await gpu.requestAdapter(options);
    return adapter && renamed(adapter);
  };
  const ops = await createGpuOps({ requestAdapter } as GPU, { matmul: "tiled" });
  opened.push(ops);
  return ops;
}
