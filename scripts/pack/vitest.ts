/** Runs the project's own test files with vitest's own runner and `expect`, in this process: no config, no workers, no files of vitest's. */
import type { RunnerTestFile as File, RunnerTestCase as Test } from "vitest";

type Runner = Parameters<typeof import("vitest/internal/browser").startTests>[1];

export interface TestOutcome {
  name: string;
  state: "passed" | "failed" | "skipped";
  /** Why it failed. */
  message: string | null;
}

export interface TestRun {
  /** Tests whose full name this matches; default all. */
  only?: RegExp;
  /** True for tests that do not hold here. */
  leaveOut?: (name: string) => boolean;
  started(name: string): void;
  ended(outcome: TestOutcome): void;
}

const hour = 3_600_000;
const fullName = (test: Test) => test.fullTestName;
const messageOf = (errors: readonly { message: string }[] | undefined) => errors?.map(({ message }) => message).join("; ") ?? null;

/**
 * @param load imports the test file, whose top level registers its tests.
 * @returns why the file could not be loaded or cleaned up, or null.
 */
export async function runTests(load: () => Promise<unknown>, { only, leaveOut, started, ended }: TestRun): Promise<string | null> {
  // vitest's expect asks the worker it runs in for its settings; here there is none.
  Object.assign(globalThis, { __vitest_worker__: { config: { expect: {} }, environment: {}, filepath: "pack" } });
  const { startTests } = await import("vitest/internal/browser");
  const config = {
    ...{ root: ".", setupFiles: [], name: undefined, passWithNoTests: true, testNamePattern: only, allowOnly: true, chaiConfig: undefined },
    ...{ maxConcurrency: 1, testTimeout: hour, hookTimeout: hour, retry: 0, includeTaskLocation: false, tags: [], tagsFilter: undefined },
    ...{ strictTags: false, sequence: { seed: 1, hooks: "stack" as const, setupFiles: "list" as const } },
  };
  const runner: Runner = {
    config,
    importFile: load,
    onBeforeRunTask: (test) => {
      if (test.mode !== "run") return;
      const name = fullName(test);
      if (!leaveOut?.(name)) return started(name);
      test.mode = "skip";
      ended({ name, state: "skipped", message: null });
    },
    onAfterRunTask: (test) => {
      if (test.mode === "run") ended({ name: fullName(test), state: stateOf(test), message: messageOf(test.result?.errors) });
    },
  };
  const [file] = await startTests(["tests"], runner);
  return failureOf(file);
}

const stateOf = ({ result }: Test): TestOutcome["state"] =>
  result?.state === "pass" ? "passed" : result?.state === "skip" ? "skipped" : "failed";

/** Errors outside of tests: in the file's top level, or in a suite's hooks. */
function failureOf(file: File): string | null {
  const found: string[] = [];
  const look = (task: File["tasks"][number] | File) => {
    if (task.type === "suite" && task.result?.errors?.length) found.push(messageOf(task.result.errors)!);
    if (task.type === "suite") task.tasks.forEach(look);
  };
  look(file);
  return found.length ? found.join("; ") : null;
}
