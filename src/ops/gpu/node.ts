import { QuantError } from "../../errors";
import { waitPatiently } from "./polling";

/** Vulkan drivers that need no GPU, in the order in which they are tried. */
const softwareDrivers = [
  "/usr/lib/chromium/vk_swiftshader_icd.json",
  "/usr/lib/chromium-browser/vk_swiftshader_icd.json",
  "/opt/google/chrome/vk_swiftshader_icd.json",
  "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
  "/usr/share/vulkan/icd.d/lvp_icd.json",
  "/usr/share/vulkan/icd.d/lvp_icd.aarch64.json",
];
const gpuDevices = ["/dev/nvidia0", "/dev/dri/renderD128", "/dev/dxg"];
/** glibc's RTLD_NODELETE: keeps a library in memory, although Node unloads a library that is no addon. */
const keepLoaded = 0x1000;
const hint = "Install Debian's `chromium` package, whose software driver runs anywhere, or use --cpu.";

/**
 * WebGPU for Node: Dawn from the npm package `webgpu`, on the driver named by QEP_VK_ICD, VK_DRIVER_FILES or VK_ICD_FILENAMES (path of an ICD's
 * JSON file), else the machine's GPU, else Chromium's SwiftShader or Mesa's lavapipe. Installs WebGPU's globals (GPUBufferUsage …); later calls give the same object.
 * @throws QuantError `no-webgpu` if the package or a driver is missing.
 */
export async function openNodeGpu(): Promise<GPU> {
  // Dawn's objects must stay reachable, those that gave no adapter too: once one is collected, Node aborts.
  const pinned = globalThis as typeof globalThis & { qepDawn?: GPU; qepDawnTried?: GPU[] };
  if (pinned.qepDawn) return pinned.qepDawn;
  const dawn = await importDawn();
  Object.assign(globalThis, dawn.globals);
  waitPatiently();
  const tried: GPU[] = [];
  pinned.qepDawnTried = tried;
  for (const driver of await drivers()) {
    if (driver) await pointTo(driver);
    const gpu = dawn.create([]);
    tried.push(gpu);
    if (!(await gpu.requestAdapter())) continue;
    pinned.qepDawn = gpu;
    return gpu;
  }
  throw new QuantError("no-webgpu", "Dawn found no Vulkan driver on this machine", hint);
}

async function importDawn(): Promise<typeof import("webgpu")> {
  try {
    return await import("webgpu");
  } catch (e) {
    throw new QuantError("no-webgpu", `the npm package webgpu cannot be loaded (${e instanceof Error ? e.message : e})`, hint, {
      cause: e,
    });
  }
}

/** ICD files to try in order; "" leaves the choice to the system. */
async function drivers(): Promise<string[]> {
  const { env, platform } = process;
  if (platform !== "linux") return [""];
  const named = env.QEP_VK_ICD ?? env.VK_DRIVER_FILES ?? env.VK_ICD_FILENAMES;
  if (named) return [named];
  const { existsSync } = await import("node:fs");
  const software = softwareDrivers.filter((path) => existsSync(path));
  return gpuDevices.some((path) => existsSync(path)) ? ["", ...software] : software;
}

/** Points Vulkan to one driver. A browser's driver lies beside a Vulkan loader, for machines without one of their own. */
async function pointTo(icd: string): Promise<void> {
  const { env } = process;
  const { existsSync } = await import("node:fs");
  const { dirname, join } = await import("node:path");
  env.VK_DRIVER_FILES = icd;
  env.VK_ICD_FILENAMES = icd; // the older name
  env.XDG_RUNTIME_DIR ??= "/tmp"; // lavapipe asks for it
  const loader = join(dirname(icd), "libvulkan.so.1");
  if (existsSync(loader)) await load(loader);
}

/** Puts a library into the process under its own name, where Dawn looks for it. */
async function load(library: string): Promise<void> {
  const { constants } = await import("node:os");
  try {
    process.dlopen({ exports: {} }, library, constants.dlopen.RTLD_NOW | constants.dlopen.RTLD_GLOBAL | keepLoaded);
  } catch {
    // Always thrown, because it is no Node addon. The library stays loaded; if it does not, Dawn finds no adapter, and that is reported.
  }
}
