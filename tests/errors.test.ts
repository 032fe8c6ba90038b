import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { exitOf, exits } from "../src/cli/exit";
import { type ErrorCode, givenAs, meanings, QuantError } from "../src/errors";
import { parseJson } from "../src/io/json";
import { faultOf } from "../src/ui/recipe/fault";
import { root } from "./support/tree";

const thrown = async (work: () => unknown): Promise<QuantError> => {
  try {
    await work();
  } catch (e) {
    return e as QuantError;
  }
  throw new Error("nothing was thrown");
};
const badJson = async () => parseJson(new TextEncoder().encode("{"), "a.json");

describe("what an error is about", () => {
  test("is what the file was given as, the innermost word counting", async () => {
    expect((await thrown(badJson)).about).toBe("checkpoint");
    for (const about of ["recipe", "text", "checkpoint", "output"] as const)
      expect((await thrown(() => givenAs(about, badJson))).about).toBe(about);
    expect((await thrown(() => givenAs("text", () => givenAs("checkpoint", badJson)))).about).toBe("checkpoint");
  });

  test("does not change where the code says it, and keeps code, place, hint and cause", async () => {
    const cancelled = await thrown(() =>
      givenAs("text", async () => {
        throw new QuantError("cancelled");
      }),
    );
    expect(cancelled.about).toBe("cancellation");
    const [plain, placed] = [await thrown(badJson), await thrown(() => givenAs("text", badJson))];
    expect(placed.message).toBe(plain.message);
    expect(placed.cause).toBeInstanceOf(SyntaxError);
  });

  test("crosses the worker boundary", async () => {
    const error = await thrown(() => givenAs("text", badJson));
    const back = QuantError.fromFlat(structuredClone(error.flat()));
    expect(back.about).toBe("text");
    expect(back.flat()).toEqual(error.flat());
  });

  test("gives the exit code and the field that the page marks", async () => {
    expect(exitOf[(await thrown(() => givenAs("recipe", badJson))).about]).toBe(2);
    expect(exitOf[(await thrown(() => givenAs("text", badJson))).about]).toBe(4);
    expect(faultOf((await thrown(() => givenAs("text", badJson))).flat())).toBe("calibration");
    expect(faultOf((await thrown(badJson)).flat())).toBe("other");
    expect(faultOf(new QuantError("group-size").flat())).toBe("groupSize");
  });
});

/** As docs/cli.md promises them, for files that were given as nothing in particular. */
const promised: Record<number, ErrorCode[]> = {
  1: ["worker-died", "busy", "internal"],
  2: ["bad-argument", "bad-recipe", "bad-rule", "group-size", "bad-format"],
  3: [
    ...(["bad-json", "bad-config", "unsupported-architecture", "quantized-already", "missing-file", "missing-tensor"] as const),
    ...(["contradiction", "bad-safetensors", "header-too-large", "truncated", "unsupported-dtype", "wrong-shape"] as const),
    ...([
      "non-finite-weights",
      "non-finite-activations",
      "scale-overflow",
      "weight-overflow",
      "file-changed",
      "bad-file",
      "not-a-checkpoint",
      "inputs-changed",
      "other-vocabulary",
    ] as const),
  ],
  4: ["bad-tokenizer", "bad-text", "text-too-short", "bad-tokens"],
  5: ["no-webgpu", "gpu-limit", "gpu-out-of-memory", "gpu-fault", "device-lost"],
  6: ["disk-full", "output-exists", "output-is-input", "write-failed", "verify-failed", "run-exists", "other-run"],
  130: ["cancelled"],
};

describe("the exit code", () => {
  test.each(Object.entries(promised).flatMap(([exit, codes]) => codes.map((code): [ErrorCode, number] => [code, Number(exit)])))(
    "of %s is %i",
    (code, exit) => {
      expect(exitOf[new QuantError(code).about]).toBe(exit);
    },
  );

  test("of every error is promised, and every promise stands in docs/cli.md", () => {
    expect(Object.values(promised).flat().sort()).toEqual(Object.keys(meanings).sort());
    const documented = readFileSync(`${root}docs/cli.md`, "utf8").matchAll(/^\| (\d+) \| /gm);
    expect([...documented].map(([, exit]) => exit)).toEqual(Object.values(exits).map(String));
    const failures = Object.values(exits).filter((exit) => exit !== exits.ok && exit !== exits.unsound);
    expect(failures.map(String)).toEqual(Object.keys(promised));
  });
});
