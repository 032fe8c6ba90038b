import { describe, expect, it } from "vitest";
import { QuantError } from "../../src/errors";
import { requestGpu } from "../../src/ops/gpu/device";
import { Faults } from "../../src/ops/gpu/faults";
import { openNodeGpu } from "../../src/ops/gpu/node";
import { openGpuOps } from "../support/gpu";

const codeOf = (e: unknown) => (e instanceof QuantError ? e.code : e);
const failure = (work: Promise<unknown>) => work.then(() => "no failure", codeOf);

describe("a lost device", () => {
  it("is said by every later wait, also when allocations fail after it", async () => {
    const gpu = await openGpuOps();
    const x = gpu.zeros([4, 4]);
    await gpu.flush();
    gpu.gpu.device.destroy();
    const y = gpu.linear(x, x);
    expect(await failure(gpu.read([y]))).toBe("device-lost");
    gpu.zeros([1000, 1000]);
    expect(await failure(gpu.flush())).toBe("device-lost");
    expect(await failure(gpu.readUints(y))).toBe("device-lost");
  });

  it("during a read", async () => {
    const gpu = await openGpuOps();
    const reading = failure(gpu.read([gpu.zeros([4, 4])]));
    gpu.destroy();
    expect(["device-lost", "no failure"]).toContain(await reading);
    expect(await failure(gpu.flush())).toBe("device-lost");
  });

  it("is said in the browser's words, as the middle of a sentence", async () => {
    const lost = Promise.resolve({ reason: "unknown", message: "A valid external Instance reference no longer exists.\n" });
    const faults = new Faults({ lost, addEventListener: () => {} } as unknown as GPUDevice);
    await lost;
    expect(() => faults.check()).toThrow(expect.objectContaining({ where: "A valid external Instance reference no longer exists" }));
  });
});

describe("faults of the device", () => {
  it("a rejected command is thrown by the next wait, once", async () => {
    const gpu = await openGpuOps();
    const { device } = gpu.gpu;
    const heard = new Promise((resolve) => device.addEventListener("uncapturederror", resolve, { once: true }));
    device.createBuffer({ size: 3, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    await heard;
    expect(await failure(gpu.flush())).toBe("gpu-fault");
    expect(await failure(gpu.flush())).toBe("no failure");
  });

  it("running out of memory is told from its consequences, and work goes on after it", async () => {
    const { device } = await requestGpu(await openNodeGpu());
    const faults = new Faults(device);
    faults.record(new GPUValidationError("a buffer is invalid"));
    faults.record(new GPUOutOfMemoryError("no room"));
    expect(() => faults.check()).toThrow(expect.objectContaining({ code: "gpu-out-of-memory", where: "no room" }));
    expect(() => faults.check()).not.toThrow();
    faults.record(new GPUValidationError("it is invalid.\n"));
    expect(() => faults.check()).toThrow(expect.objectContaining({ code: "gpu-fault", where: "it is invalid" }));
    device.destroy();
  });

  it("buffers made before a failure are not used again", async () => {
    const gpu = await openGpuOps();
    const a = gpu.fromFloats([1, 2, 3, 4], [4]);
    gpu.gpu.device.createBuffer({ size: 3, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    expect(await failure(gpu.flush())).toBe("gpu-fault");
    gpu.free(a);
    const b = gpu.zeros([4]);
    expect([...(await gpu.read([b]))[0]]).toEqual([0, 0, 0, 0]);
    expect(await failure(gpu.flush())).toBe("no failure");
  });
});

it("without an adapter: no-webgpu, with what to do", async () => {
  const none = { requestAdapter: async () => null } as unknown as GPU;
  await expect(requestGpu(none)).rejects.toMatchObject({ code: "no-webgpu" });
  const refusing = {
    requestAdapter: async () => ({ limits: {}, features: new Set(), info: {}, requestDevice: () => Promise.reject(new Error("in use")) }),
  } as unknown as GPU;
  await expect(requestGpu(refusing)).rejects.toMatchObject({ code: "no-webgpu", where: "in use" });
});

it("the adapter's facts say software for SwiftShader and lavapipe", async () => {
  const gpu = await openGpuOps();
  expect(gpu.adapter).toMatchObject({ kind: "gpu", software: true });
  expect(gpu.adapter.description).not.toBe("");
});
