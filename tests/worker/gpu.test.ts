import { afterEach, expect, test, vi } from "vitest";
import { QuantError } from "../../src/errors";
import { createCpuOps } from "../../src/ops/cpu";
import { openNodeGpu } from "../../src/ops/gpu/node";
import { openPatiently } from "../../src/worker/gpu";
import { webPlatform } from "../../src/worker/platform";

afterEach(() => vi.unstubAllGlobals());

/** Opens after so many failures. */
function openAfter(...failures: QuantError[]) {
  let asked = 0;
  const ops = createCpuOps();
  const open = async () => {
    const failure = failures[asked++];
    if (failure) throw failure;
    return ops;
  };
  return { ops, open, asked: () => asked };
}

test("a browser whose GPU process has just crashed is asked again", async () => {
  const { ops, open, asked } = openAfter(new QuantError("no-webgpu", "the browser found no GPU"), new QuantError("device-lost", "a crash"));
  expect(await openPatiently(open, [0, 0])).toBe(ops);
  expect(asked()).toBe(3);
});

test("one that has no GPU is believed after a few tries", async () => {
  const none = new QuantError("no-webgpu", "the browser found no GPU");
  const { open, asked } = openAfter(none, none, none, none);
  await expect(openPatiently(open, [0, 0])).rejects.toBe(none);
  expect(asked()).toBe(3);
});

test("another failure is not tried again", async () => {
  const { open, asked } = openAfter(new QuantError("internal", "a kernel is missing"));
  await expect(openPatiently(open, [0, 0])).rejects.toThrow("a kernel is missing");
  expect(asked()).toBe(1);
});

test("the page's platform opens its device so", async () => {
  const real = await openNodeGpu();
  const adapters = [null];
  vi.stubGlobal("navigator", { gpu: { requestAdapter: async () => (adapters.length ? adapters.pop() : real.requestAdapter()) } });
  const ops = await webPlatform(false, true).openOps();
  expect(ops.adapter.kind).toBe("gpu");
  ops.destroy();
});
