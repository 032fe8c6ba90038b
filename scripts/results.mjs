/** `npm run results`: bundles scripts/results/main.ts with the engine in it, as the command line is built, and runs it. */
import { join } from "node:path";
import { gpuEnvironment } from "./find.mjs";
import { root, run, Stop, script } from "./proc.mjs";

await script(async () => {
  const { build } = await import("vite");
  const outDir = join(root, "dist", "results");
  await build({
    root,
    configFile: join(root, "vite.cli.config.ts"),
    build: { ssr: "scripts/results/main.ts", outDir },
    logLevel: "warn",
  }).catch((error) => {
    throw new Stop(error.message);
  });
  process.exitCode = await run(process.execPath, [join(outDir, "main.js"), ...process.argv.slice(2)], { env: gpuEnvironment() });
});
