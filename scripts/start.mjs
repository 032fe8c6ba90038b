/** `npm start`: packages, build, server. Needs Node alone. Flags: --open, --port N, --host NAME. */
import { spawn } from "node:child_process";
import { build } from "./build.mjs";
import { ensurePackages } from "./packages.mjs";
import { script } from "./proc.mjs";
import { serve, serveFlags } from "./serve.mjs";

/** @param {string} url */
function openBrowser(url) {
  const command = { darwin: "open", win32: "explorer" }[/** @type {string} */ (process.platform)] ?? "xdg-open";
  // Without a desktop there is nothing to open; the URL is on the screen.
  spawn(command, [url], { stdio: "ignore", detached: true })
    .on("error", () => {})
    .unref();
}

await script(async () => {
  const { open, ...options } = serveFlags({ open: { type: "boolean" } });
  await ensurePackages();
  await build("page", { ifStale: true, quiet: true });
  const { url } = await serve(options);
  console.log(`QEP Studio is on ${url} (Ctrl+C ends it)`);
  if (open) openBrowser(url);
});
