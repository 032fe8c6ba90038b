import { QuantError } from "../../errors";
import type { AdapterFacts } from "../../results/adapter";

/** What an adapter gives; `facts` is what people and reports see of it. */
export interface OpenedGpu {
  adapter: GPUAdapter;
  device: GPUDevice;
  facts: AdapterFacts;
}

/** The limits that grow beyond WebGPU's defaults where the adapter allows: buffers decide which models fit. */
const wanted = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
] as const;

export type LimitName = (typeof wanted)[number];

export interface DeviceOptions {
  /** Lower limits than the adapter's, as a smaller GPU would have; for tests. */
  limits?: Partial<Record<LimitName, number>>;
  /** Estimated floating-point operations of one submit, and of one dispatch where it can be cut; default by adapter. */
  budget?: number;
}

/** @throws QuantError `no-webgpu` without an adapter or when it refuses a device. */
export async function requestGpu(gpu: GPU, options: DeviceOptions = {}): Promise<OpenedGpu> {
  const adapter = await gpu.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter)
    throw new QuantError("no-webgpu", "the browser found no GPU", "Check chrome://gpu, update the driver, or use another browser.");
  const requiredLimits = Object.fromEntries(wanted.map((name) => [name, options.limits?.[name] ?? adapter.limits[name]]));
  const requiredFeatures: GPUFeatureName[] = adapter.features.has("subgroups") ? ["subgroups"] : [];
  try {
    const device = await adapter.requestDevice({ requiredLimits, requiredFeatures });
    return { adapter, device, facts: factsOf(adapter, device, options) };
  } catch (e) {
    throw new QuantError("no-webgpu", e instanceof Error ? e.message : String(e), "Close other GPU programs or restart the browser.", {
      cause: e,
    });
  }
}

function factsOf(adapter: GPUAdapter, { limits }: GPUDevice, options: DeviceOptions): AdapterFacts {
  // A device grants no less than WebGPU's defaults; lower ones are kept by us.
  const least = (name: LimitName) => Math.min(limits[name], options.limits?.[name] ?? limits[name]);
  const { vendor, architecture, device, description, isFallbackAdapter } = adapter.info;
  const text = [vendor, architecture, device, description].filter(Boolean).join(" ");
  const software = isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software|basic render/i.test(text);
  return {
    kind: "gpu",
    description: description || text || "GPU",
    software,
    limits: { buffer: least("maxBufferSize"), binding: least("maxStorageBufferBindingSize") },
  };
}
