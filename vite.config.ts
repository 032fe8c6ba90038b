import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";
import { metaPolicy } from "./scripts/csp.mjs";

/** Static hosts send no headers of ours, so the built page carries its policy itself. The dev server needs inline code and goes without. */
const policyInPage: Plugin = {
  name: "policy-in-page",
  apply: "build",
  transformIndexHtml: () => [
    { tag: "meta", attrs: { "http-equiv": "Content-Security-Policy", content: metaPolicy }, injectTo: "head-prepend" },
  ],
};

export default defineConfig({
  base: "./",
  plugins: [react(), policyInPage],
  worker: { format: "es" },
  // The page is the one entry: by itself the dev server would also scan bench/peers, whose libraries are installed on demand.
  optimizeDeps: { entries: ["index.html"] },
  build: {
    outDir: "dist/page",
    target: "esnext",
    // Inlined assets would be data: URLs, which the policy forbids for scripts and styles.
    assetsInlineLimit: 0,
    // Every browser with WebGPU preloads modules itself.
    modulePreload: { polyfill: false },
    manifest: true,
  },
});
