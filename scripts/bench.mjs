/**
 * `npm run bench -- [--only NAME,…] [--small]`: measures, part by part, and writes docs/benchmarks.md. Each part is a file in bench/, a process of its own, and
 * writes its own JSON file, so that one part can be measured again. `--small` takes sizes that say nothing, to try the parts out; it writes under .cache/.
 */
import { loadavg } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { gpuEnvironment } from "./find.mjs";
import { ensurePackages } from "./packages.mjs";
import { root, run, Stop, script } from "./proc.mjs";
import { ensureBrowser } from "./setup.mjs";

/** Quick ones first. "node": bench/NAME.bench.ts, "page": bench/NAME.page.ts. */
const parts = /** @type {const} */ ([
  { name: "readers", in: "node" },
  { name: "answers", in: "page" },
  { name: "alpha", in: "page" },
  { name: "solve", in: "node" },
  { name: "slopes", in: "node" },
  { name: "matmul", in: "page" },
  { name: "cost", in: "node" },
]);

function chosen() {
  let values;
  try {
    ({ values } = parseArgs({ options: { only: { type: "string", multiple: true }, small: { type: "boolean" } } }));
  } catch (error) {
    throw new Stop(/** @type {Error} */ (error).message);
  }
  const names = values.only?.flatMap((list) => list.split(","));
  const unknown = names?.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined) throw new Stop(`--only ${unknown}: the parts are ${parts.map(({ name }) => name).join(", ")}.`);
  return { wanted: parts.filter(({ name }) => names?.includes(name) ?? true), small: values.small === true };
}

/**
 * @param {(typeof parts)[number]} part
 * @param {NodeJS.ProcessEnv} env
 */
function measure({ name, in: where }, env) {
  const [bin, ...args] =
    where === "node"
      ? ["node_modules/vitest/vitest.mjs", "run", "--mode", "bench", `bench/${name}.bench.ts`]
      : ["node_modules/@playwright/test/cli.js", "test", "--config", "bench/playwright.config.ts", "--reporter=line", `${name}.page.ts`];
  return run(process.execPath, [join(root, bin), ...args], { env });
}

await script(async () => {
  const { wanted, small } = chosen();
  await ensurePackages();
  await ensureBrowser();
  if (wanted.some(({ name }) => name === "matmul")) await ensurePackages(join(root, "bench/peers"));
  const docs = join(root, small ? ".cache/bench-small" : "docs");
  const env = { ...gpuEnvironment(), QEP_BENCH_DOCS: docs, QEP_BENCH_LOAD: String(loadavg()[0]), ...(small && { QEP_BENCH_SMALL: "1" }) };
  const lines = [];
  let failed = 0;
  for (const part of wanted) {
    console.log(`\n== ${part.name}`);
    const started = performance.now();
    const status = await measure(part, env);
    if (status !== 0) failed++;
    lines.push(`${part.name.padEnd(8)}${status === 0 ? "measured" : "FAILED"}, ${Math.round((performance.now() - started) / 1000)} s`);
  }
  console.log(`\n${lines.join("\n")}`);
  if (failed) throw new Stop(`${failed} of ${wanted.length} parts failed; what they had written before stands.`);
});
