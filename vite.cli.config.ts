import { defineConfig } from "vite";

/** One bundle for Node with everything in it but Node's own modules and the native `webgpu`. */
export default defineConfig({
  publicDir: false,
  ssr: { target: "node", noExternal: true, external: ["webgpu"] },
  build: {
    ssr: "src/cli/main.ts",
    outDir: "dist/cli",
    target: "node20",
    minify: false,
    rolldownOptions: { output: { entryFileNames: "main.js" } },
  },
});
