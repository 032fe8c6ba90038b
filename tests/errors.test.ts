import { describe, expect, test } from "vitest";
import { exitOf } from "../src/cli/exit";
import { givenAs, meanings, QuantError } from "../src/errors";
import { parseJson } from "../src/io/json";
import { faultOf } from "../src/ui/recipe/fault";

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
    const exits = Object.keys(meanings).map((code) => [code, exitOf[new QuantError(code as keyof typeof meanings).about]]);
    expect(exits.filter(([, exit]) => typeof exit !== "number")).toEqual([]);
    expect(exitOf[(await thrown(() => givenAs("recipe", badJson))).about]).toBe(2);
    expect(exitOf[(await thrown(() => givenAs("text", badJson))).about]).toBe(4);
    expect(exitOf[new QuantError("verify-failed").about]).toBe(6);
    expect(exitOf[new QuantError("no-webgpu").about]).toBe(5);
    expect(exitOf[new QuantError("cancelled").about]).toBe(130);
    expect(faultOf((await thrown(() => givenAs("text", badJson))).flat())).toBe("calibration");
    expect(faultOf((await thrown(badJson)).flat())).toBe("other");
    expect(faultOf(new QuantError("group-size").flat())).toBe("groupSize");
  });
});
