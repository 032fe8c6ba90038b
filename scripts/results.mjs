/**
 * `npm run results`: bundles scripts/results/main.ts with the engine in it, as the command line is built, and runs it. With --beside it is
 * scripts/results/beside/main.ts, which also needs the built command line, and the Python and llama.cpp of the interop tests.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { build as buildTarget } from "./build.mjs";
import { gpuEnvironment } from "./find.mjs";
import { root, run, Stop, script } from "./proc.mjs";
import { readyPython } from "./python.mjs";

/** Where the neighbours are, as environment variables. */
function neighbours() {
  const python = readyPython();
  const packages = join(root, "tests/interop/clients/node_modules/@node-llama-cpp");
  const system = process.platform === "darwin" ? "mac" : process.platform;
  const platform = existsSync(packages) && readdirSync(packages).find((name) => name.startsWith(`${system}-${process.arch}`));
  if (!python || !platform) throw new Stop("llama.cpp or its Python side is not there: run `npm run setup -- --tests` first.");
  const bins = join(packages, platform, "bins");
  return { QEP_PYTHON: python, LLAMA_BIN: join(bins, readdirSync(bins)[0]) };
}

await script(async () => {
  const beside = process.argv.includes("--beside");
  const env = { ...gpuEnvironment(), ...(beside ? neighbours() : {}) };
  if (beside) await buildTarget("cli", { ifStale: true, quiet: true });
  const { build } = await import("vite");
  const outDir = join(root, "dist", "results");
  await build({
    root,
    configFile: join(root, "vite.cli.config.ts"),
    build: { ssr: beside ? "scripts/results/beside/main.ts" : "scripts/results/main.ts", outDir },
    logLevel: "warn",
  }).catch((error) => {
    throw new Stop(error.message);
  });
  process.exitCode = await run(process.execPath, [join(outDir, "main.js"), ...process.argv.slice(2)], { env });
});
