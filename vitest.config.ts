import { defineConfig } from "vitest/config";
import { gpuEnvironment } from "./scripts/find.mjs";

const minute = 60_000;
const every = "tests/**/*.test.ts";

/** Dawn in the tests, and in every command line that a test starts, finds the same software GPU, however vitest was started. */
const env = gpuEnvironment();

/**
 * `vitest --mode conformance` compares every recipe of the oracle with us, `--mode interop` loads every kind of export, `--mode bench` measures times; the
 * usual run takes a few of the first two.
 */
export default defineConfig(({ mode }) => {
  // Forks, because Dawn belongs to its process; two, because each GPU test keeps a core busy. A timeout ends what hangs, and nothing else.
  const common = { pool: "forks" as const, maxWorkers: 2, env, testTimeout: 10 * minute, hookTimeout: 10 * minute };
  if (mode === "conformance") {
    return {
      test: { ...common, include: ["tests/conformance/**/*.test.ts"], env: { ...env, QEP_CONFORMANCE: "all" }, testTimeout: 60 * minute },
    };
  }
  if (mode === "interop") {
    return {
      test: {
        ...common,
        include: ["tests/interop/**/*.test.ts"],
        env: { ...env, QEP_INTEROP: "all" },
        testTimeout: 10 * minute,
        maxWorkers: 1,
      },
    };
  }
  // Measures, one thing at a time.
  const bench = { ...common, maxWorkers: 1, testTimeout: 300 * minute };
  if (mode === "bench") return { test: { ...bench, include: ["bench/**/*.bench.ts"], exclude: ["bench/large.bench.ts"] } };
  if (mode === "large") return { test: { ...bench, include: ["bench/large.bench.ts"] } };
  return {
    test: {
      ...common,
      projects: [
        { extends: true, test: { name: "unit", include: [every], exclude: ["tests/{conformance/full,e2e,interop}/**"] } },
        // One Python with torch at a time.
        { extends: true, test: { name: "interop", include: ["tests/interop/**/*.test.ts"], testTimeout: 10 * minute, maxWorkers: 1 } },
      ],
    },
  };
});
