import { QuantError } from "../../errors";
import type { AdapterFacts } from "../../results/adapter";

/** An adapter and its device; `facts` is what people and reports see of them. */
export interface OpenedGpu {
  adapter: GPUAdapter;
  device: GPUDevice;
  facts: Omit<AdapterFacts, "products">;
}

/** Limits that are raised above WebGPU's defaults as far as the adapter allows. */
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
  /** Estimated floating-point operations of one submit, and of one dispatch where it can be divided. The default depends on the adapter. */
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

function factsOf(adapter: GPUAdapter, { limits }: GPUDevice, options: DeviceOptions): OpenedGpu["facts"] {
  // A device never has lower limits than WebGPU's defaults, so we keep to lower ones ourselves.
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
