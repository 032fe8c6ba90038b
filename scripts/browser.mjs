import { findChromium } from "./find.mjs";

/** A Chromium with WebGPU, headless. */
export async function launchChromium() {
  const { chromium } = await import("@playwright/test");
  return chromium.launch({ executablePath: findChromium() ?? undefined, args: ["--no-sandbox", "--enable-unsafe-webgpu"] });
}
