/** `npm run setup`: what running needs. With `--tests`: also a Chromium, a Vulkan driver and the clients of the interop tests. */
import { join } from "node:path";
import { aptInstall } from "./apt.mjs";
import { build } from "./build.mjs";
import { findChromium, findVulkanDriver } from "./find.mjs";
import { ensurePackages } from "./packages.mjs";
import { isMain, root, Stop, script } from "./proc.mjs";
import { ensurePython } from "./python.mjs";

/** A browser for the page and, on Linux, a driver for Dawn: Debian's chromium brings both. */
export async function ensureBrowser() {
  const complete = () => findChromium() !== null && (process.platform !== "linux" || findVulkanDriver() !== null);
  if (complete() || ((await aptInstall(["chromium"])) && complete())) return;
  throw new Stop(
    findChromium() === null
      ? "The tests need Chromium: install it (Debian: apt-get install chromium) or set CHROMIUM_PATH to a Chromium or Chrome."
      : "The tests need a Vulkan driver: install Debian's chromium or Mesa 25's lavapipe, or set QEP_VK_ICD to a driver's .json.",
  );
}

/** What loads exports in the interop tests: runtimes from npm, and Python's. */
export async function ensureClients() {
  await ensurePackages(join(root, "tests/interop/clients"));
  await ensurePython();
}

if (isMain(import.meta)) {
  await script(async () => {
    await ensurePackages();
    await build("cli", { ifStale: true, quiet: true });
    if (!process.argv.includes("--tests")) return console.log("Ready: `npm start`.");
    await ensureBrowser();
    await ensureClients();
    console.log(`Ready: \`npm test\`. Chromium: ${findChromium()}; Vulkan: ${findVulkanDriver() ?? "the system's"}.`);
  });
}
