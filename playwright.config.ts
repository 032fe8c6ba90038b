import { defineConfig } from "@playwright/test";
import { findChromium } from "./scripts/find.mjs";

/** A port of this folder's own: several checkouts may be tested at a time. */
const port = 41_000 + [...import.meta.dirname].reduce((hash, letter) => (31 * hash + letter.charCodeAt(0)) % 1000, 0);
const url = `http://127.0.0.1:${port}/`;

export default defineConfig({
  testDir: "tests/e2e",
  outputDir: "test-results",
  // Only what hangs is ended: no test waits for a time, and a busy machine may take several times what a free one does.
  timeout: 600_000,
  expect: { timeout: 120_000 },
  // One at a time: every page keeps a software GPU busy.
  workers: 1,
  forbidOnly: Boolean(process.env.CI),
  use: {
    baseURL: url,
    viewport: { width: 1280, height: 900 },
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: findChromium() ?? undefined,
      // WebGPU on SwiftShader, and a browser that asks the network for nothing of its own.
      args: [
        "--no-sandbox",
        "--enable-unsafe-webgpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        "--disable-quic",
      ],
    },
  },
  webServer: {
    command: `node scripts/build.mjs page --if-stale && node scripts/serve.mjs --port ${port}`,
    url,
    reuseExistingServer: false,
    stdout: "ignore",
    stderr: "pipe",
  },
});
