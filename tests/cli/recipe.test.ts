import { describe, expect, test } from "vitest";
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { presetOf } from "../../src/recipe/presets";
import { defaultRecipe } from "../../src/recipe/recipe";
import type { ModelSummary } from "../../src/results/model";

const small = { shape: { hidden: 576, intermediate: 1536, heads: 9, headDim: 64 } } as ModelSummary;
const of = (line: string, model: ModelSummary | null = small) =>
  recipeOf(parseCommandLine(["model", ...line.split(" ").filter(Boolean)], quantizeOptions).options, model);

describe("what the options make of a recipe", () => {
  test("none: the default", async () => expect(await of("")).toEqual(defaultRecipe));

  test("--for sets format, grid, and a group that divides the model's layers", async () => {
    expect(await of("--for vllm")).toMatchObject({ format: "compressed-tensors", symmetric: true, groupSize: 64, bits: 4, method: "gptq" });
    expect(await of("--for vllm", null)).toMatchObject({ groupSize: 128 });
  });

  test("--for llama.cpp takes its type from the bits", async () => {
    expect((await of("--for llama.cpp")).type).toBe("Q4_K_M");
    expect((await of("--for llama.cpp --bits 2")).type).toBe("Q2_K_M");
    expect((await of("--bits 3 --for llama.cpp --type Q4_0")).type).toBe("Q4_0");
  });

  test("single options override place and preset", async () => {
    expect(await of("--for mlx --group-size 32 --preset paper --mse")).toMatchObject({
      format: "mlx",
      groupSize: 32,
      gptq: { mse: true, actOrder: false },
      qep: { downProj: false },
    });
    expect((await of("--no-act-order --no-mse --no-qep-down-proj")).gptq).toMatchObject({ actOrder: false, mse: false });
  });

  test.each(["quick", "good", "paper"])("--preset %s", async (name) => expect(presetOf(await of(`--preset ${name}`))).toBe(name));

  test.each([
    ["--preset best", "Name one of quick, good, paper"],
    ["--for ollama", "destination must be one of measure, transformers, gptqmodel, vllm, llama.cpp, mlx, web"],
    ["--no-bits", "Unknown option"],
  ])("%s is refused", async (line, words) => {
    await expect((async () => of(line))()).rejects.toThrow(words);
  });
});
