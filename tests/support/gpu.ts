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
