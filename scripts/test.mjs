/**
 * `npm test`: sets up, runs every suite, and ends with one line that adds them all up. `npm test -- --only types,unit` runs some.
 * Two suites run side by side where each leaves a core idle much of its time.
 */
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensurePackages } from "./packages.mjs";
import { root, run, Stop, script } from "./proc.mjs";
import { ensureBrowser, ensureClients } from "./setup.mjs";

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */
/**
 * @typedef {object} Suite
 * @property {string} name
 * @property {(() => Promise<unknown>)[]} needs what has to be there first
 * @property {(report: string) => [string, string[]]} command what Node runs; `report` is where its JSON goes
 * @property {(report: any) => Count} [count] reads that JSON; a suite without one is a single check
 * @property {number} minutes after which it is taken to hang
 * @property {number} turn suites of one turn run side by side
 */

/**
 * The file behind a package's command.
 * @param {string} name
 * @param {string} command
 */
function tool(name, command) {
  const folder = join(root, "node_modules", name);
  return join(folder, JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).bin[command]);
}

/** @param {any} report @returns {Count} */
const countVitest = (report) => ({
  passed: report.numPassedTests,
  // A file that cannot even be loaded has no tests to count, and is one failure.
  failed:
    report.numFailedTests +
    report.testResults.filter((/** @type {any} */ file) => file.status === "failed" && file.assertionResults.length === 0).length,
  skipped: report.numPendingTests + report.numTodoTests,
});

/** @param {any} report @returns {Count} */
const countPlaywright = ({ stats, errors }) => ({
  passed: stats.expected,
  failed: stats.unexpected + stats.flaky + errors.length,
  skipped: stats.skipped,
});

/**
 * @param {string} project
 * @returns {Suite["command"]}
 */
const vitest = (project) => (report) => [
  tool("vitest", "vitest"),
  ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
];

/** @type {Suite[]} */
const suites = [
  { name: "types", needs: [], command: () => [tool("typescript", "tsc"), ["--noEmit"]], minutes: 5, turn: 1 },
  { name: "style", needs: [], command: () => [tool("@biomejs/biome", "biome"), ["check", "--error-on-warnings"]], minutes: 5, turn: 1 },
  // Before the suites that run the command line or open the page.
  { name: "build", needs: [], command: () => [join(root, "scripts", "build.mjs"), ["page", "cli"]], minutes: 5, turn: 2 },
  // By itself: beside the others its software GPU takes longer than it saves.
  { name: "unit", needs: [ensureBrowser], command: vitest("unit"), count: countVitest, minutes: 45, turn: 3 },
  {
    name: "e2e",
    needs: [ensureBrowser, ensureClients],
    command: () => [tool("@playwright/test", "playwright"), ["test", "--grep-invert", "@whole", "--reporter=list,json"]],
    count: countPlaywright,
    minutes: 45,
    turn: 4,
  },
  { name: "interop", needs: [ensureBrowser, ensureClients], command: vitest("interop"), count: countVitest, minutes: 45, turn: 4 },
];

/**
 * @param {Suite} suite
 * @param {string} report
 * @param {number} [into] the file that takes its output
 * @returns {Promise<Count>}
 */
async function runSuite({ name, command, count, minutes }, report, into) {
  const [file, args] = command(report);
  const status = await run(process.execPath, [file, ...args], { env: { PLAYWRIGHT_JSON_OUTPUT_NAME: report }, minutes, into });
  const known = count && existsSync(report);
  const result = known ? count(JSON.parse(readFileSync(report, "utf8"))) : { passed: count || status ? 0 : 1, failed: 0, skipped: 0 };
  // A runner that says it failed, or that left no report, without a failed test: it crashed.
  if (result.failed === 0 && (status !== 0 || (count && !known))) {
    if (count) console.error(`The ${name} runner itself failed (status ${status}).`);
    result.failed = 1;
  }
  return result;
}

/**
 * The suites of one turn. The first one's output is seen as it comes, the others' in one piece when all are done.
 * @param {Suite[]} turn
 * @param {string} folder
 * @returns {Promise<Count[]>}
 */
async function runTurn(turn, folder) {
  console.log(`\n== ${turn.map(({ name }) => name).join(", and beside it ")}`);
  try {
    for (const need of new Set(turn.flatMap(({ needs }) => needs))) await need();
  } catch (error) {
    console.error(error instanceof Stop ? error.message : error);
    return turn.map(() => ({ passed: 0, failed: 1, skipped: 0 }));
  }
  const log = (/** @type {Suite} */ { name }) => join(folder, `${name}.log`);
  const results = await Promise.all(
    turn.map(async (suite, i) => {
      const into = i > 0 ? openSync(log(suite), "w") : undefined;
      const result = await runSuite(suite, join(folder, `${suite.name}.json`), into);
      if (into !== undefined) closeSync(into);
      return result;
    }),
  );
  for (const suite of turn.slice(1)) process.stdout.write(`\n== ${suite.name}\n${readFileSync(log(suite), "utf8")}`);
  return results;
}

/** @returns {Suite[]} */
function chosen() {
  const at = process.argv.indexOf("--only");
  if (at < 0) return suites;
  const names = (process.argv[at + 1] ?? "").split(",");
  const unknown = names.find((name) => !suites.some((suite) => suite.name === name));
  if (unknown !== undefined) throw new Stop(`--only ${unknown}: the suites are ${suites.map((suite) => suite.name).join(", ")}.`);
  return suites.filter((suite) => names.includes(suite.name));
}

/** @param {Count} count */
function sentence({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

/** @param {Suite[]} running */
async function runAll(running) {
  const folder = mkdtempSync(join(tmpdir(), "qep-test-"));
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines = [];
  try {
    await ensurePackages();
    for (const number of new Set(running.map(({ turn }) => turn))) {
      const turn = running.filter((suite) => suite.turn === number);
      const started = performance.now();
      const results = await runTurn(turn, folder);
      const seconds = Math.round((performance.now() - started) / 1000);
      for (const [i, result] of results.entries()) {
        for (const key of /** @type {(keyof Count)[]} */ (Object.keys(total))) total[key] += result[key];
        lines.push(`${turn[i].name.padEnd(8)}${sentence(result)}, ${seconds} s`);
      }
    }
  } catch (error) {
    // Whatever stops us, the last line still tells.
    console.error(error instanceof Stop ? error.message : error);
    total.failed += 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(`\n${lines.join("\n")}\n\n${sentence(total)}`);
  process.exitCode = total.failed > 0 ? 1 : 0;
}

await script(() => runAll(chosen()));
