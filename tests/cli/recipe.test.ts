import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseCommandLine, quantizeOptions } from "../../src/cli/args";
import { recipeOf } from "../../src/cli/recipe";
import { idleFlags } from "../../src/recipe/flags";
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
    expect((await of("--for llama.cpp --type Q4_0")).type).toBe("Q4_0");
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

  test("with --type none the grid is one's own, for llama.cpp too", async () => {
    expect(await of("--for llama.cpp --type none --bits 4 --group-size 32 --sym")).toMatchObject({
      type: "none",
      groupSize: 32,
      symmetric: true,
    });
  });

  test("options that no part of the recipe uses are named", async () => {
    const idle = async (line: string) => {
      const { options } = parseCommandLine(["model", ...line.split(" ")], quantizeOptions);
      return idleFlags(await recipeOf(options, small), options).map(({ field }) => field.flag);
    };
    expect(
      await idle("--method rtn --format gptq --damp 0.1 --no-act-order --quip-seed 3 --held-out 2 --split-size 100 --dense-dtype bf16"),
    ).toEqual(["held-out", "damp", "act-order", "quip-seed", "split-size", "dense-dtype"]);
    expect(await idle("--method gptq --damp 0.1 --rotate --for measure")).toEqual([]);
  });

  test.each(["quick", "good", "paper"])("--preset %s", async (name) => expect(presetOf(await of(`--preset ${name}`))).toBe(name));

  test.each([
    ["--preset best", "Name one of quick, good, paper"],
    [
      "--for ollama",
      '--for is "ollama"; it must be one of measure, transformers, gptqmodel, vllm, llama.cpp, mlx, web. Ollama runs what llama.cpp runs: --for llama.cpp.',
    ],
    ["--for LM-Studio", "LM Studio runs what llama.cpp runs: --for llama.cpp."],
    ["--for jan", "Jan runs what llama.cpp runs"],
    ["--for sglang", "SGLang runs what vLLM runs: --for vllm."],
    ["--for llamacpp", "Write --for llama.cpp."],
    ["--for gguf", "Write --for llama.cpp."],
    ["--for vLLM", "Write --for vllm."],
    ["--for transformers.js", "Write --for web."],
    ["--for onnx", "Write --for web."],
    ["--for toString", "llama.cpp, mlx, web. See qep-studio --help."],
    ["--alpha 2", '--alpha is "2"; it must be at most 1.'],
    ["--windows 1.5", '--windows is "1.5"; it must be a whole number.'],
    ["--for mlx --window-length 1", '--window-length is "1"; it must be at least 2.'],
    ["--rule down_proj:bits=8 --rule o_proj:bits=5", '--rule is "o_proj:bits=5"; bits must be one of 2, 3, 4, 8.'],
    ["--no-bits", "Unknown option"],
    ["--type Q8_0 --bits 3", "--bits has no effect beside the type Q8_0, which settles bits"],
    ["--for llama.cpp --type Q4_0 --bits 3", "--bits has no effect beside the type Q4_0"],
    ["--for llama.cpp --bits 3 --group-size 32", "--group-size has no effect beside the type Q3_K_M"],
    ["--type Q4_K --no-sym", "--sym has no effect beside"],
    ["--for llama.cpp --zeros real", "--zeros has no effect beside"],
  ])("%s is refused", async (line, words) => {
    await expect((async () => of(line))()).rejects.toThrow(words);
  });

  test("what a recipe file has is called as there, and what an option sets beside it by the option", async () => {
    const folder = await mkdtemp(join(tmpdir(), "qep-recipe-"));
    const file = join(folder, "recipe.json");
    try {
      await writeFile(file, JSON.stringify({ qep: { alpha: 2 } }));
      await expect(of(`--recipe ${file} --windows 0`)).rejects.toThrow("The recipe is not valid: qep.alpha must be at most 1.");
      await writeFile(file, JSON.stringify({ rules: [{ match: "q_proj", bits: 8 }] }));
      await expect(of(`--recipe ${file} --rule o_proj:bits=5`)).rejects.toThrow('--rule is "o_proj:bits=5"; bits must be');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
