/** The project's own kernel and conformance tests as parts of the pack. */

import { fact, type Teller } from "./types";
import { runTests, type TestOutcome } from "./vitest";

const kernelTests = import.meta.glob("../../tests/ops/*.test.ts");
const conformance = () => import("../../tests/conformance/figures.test");

/** "../../tests/ops/gpu-matmul.test.ts" → "gpu-matmul". */
const nameOf = (path: string) => /([^/]+)\.test\.ts$/.exec(path)![1];

export const kernelTestNames = Object.keys(kernelTests).map(nameOf).sort();

/** Tests of what a software adapter is, which a GPU is not. */
const softwareOnly = [/the adapter's facts say software/, /^auto > is the kernel that is meant/];

/** Runs a test file, tells every failure, and gives what passed. */
async function run(load: () => Promise<unknown>, tell: Teller, only: RegExp | undefined, leaveOut: readonly RegExp[]) {
  const outcomes: TestOutcome[] = [];
  const failure = await runTests(load, {
    only,
    leaveOut: (name) => leaveOut.some((pattern) => pattern.test(name)),
    started: (name) => tell.doing(`${name}, ${outcomes.length} before it`),
    ended(outcome) {
      outcomes.push(outcome);
      if (outcome.state === "failed") tell.failed(`${outcome.name}: ${outcome.message}`);
    },
  });
  if (failure) tell.failed(failure);
  return { outcomes, passed: outcomes.filter(({ state }) => state === "passed").length, whole: failure === null };
}

/** @param onSoftware whether the adapter is a software one. */
export async function kernelRows(name: string, onSoftware: boolean, tell: Teller): Promise<void> {
  const load = kernelTests[`../../tests/ops/${name}.test.ts`];
  const start = performance.now();
  const { outcomes, passed, whole } = await run(load, tell, undefined, onSoftware ? [] : softwareOnly);
  const skipped = outcomes.filter(({ state }) => state === "skipped").length;
  const why = `${((performance.now() - start) / 1000).toFixed(1)} s${skipped ? `; ${skipped} left out, true of software adapters only` : ""}`;
  const met = whole && passed + skipped === outcomes.length && passed > 0;
  tell.row({ what: `kernel tests ${name}`, measured: `${passed} of ${outcomes.length - skipped} passed`, goal: "all", met, why });
}

/** One recipe of the oracle, whole. The test prints what it measured; that line is the row. */
export async function conformanceRows(recipe: string, tell: Teller): Promise<void> {
  process.env.QEP_CONFORMANCE = "all";
  const lines: string[] = [];
  const print = console.log;
  console.log = (line: string) => void lines.push(line);
  const { outcomes, passed, whole } = await run(conformance, tell, new RegExp(`^\\s*${recipe}, on WebGPU`), []);
  console.log = print;
  const met = whole && passed === outcomes.length && passed > 0;
  const measured = lines.map((line) => line.replace(`${recipe}: `, "")).join("; ") || `${passed} of ${outcomes.length} passed`;
  if (passed === 0 && whole) tell.failed(`no test of ${recipe} ran`);
  tell.row({ ...fact(`conformance ${recipe}, all blocks`, measured), goal: "within the oracle's tolerances", met });
}
