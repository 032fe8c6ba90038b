import { describe, expect, test } from "vitest";
import { changeRecipe } from "../../src/recipe/access";
import { type DestinationId, destinationIds, destinations, loadsIn } from "../../src/recipe/destinations";
import { presetIds, presetOf, presets } from "../../src/recipe/presets";
import { defaultRecipe, type RecipeChange } from "../../src/recipe/recipe";
import { destinationFault, methodsFor, regrouped, suited } from "../../src/recipe/suiting";
import { readText } from "../support/tree";

const given = (change: RecipeChange) => changeRecipe(defaultRecipe, change);

describe("presets", () => {
  test("the default is Good", () => expect(presetOf(defaultRecipe)).toBe("good"));

  test("the paper's has the damping of the authors' code, the others find it, and each one for QEP and GPTQ", () => {
    const dampingOf = (id: (typeof presetIds)[number]) => [given(presets[id].sets).qep.damp, given(presets[id].sets).gptq.damp];
    expect(dampingOf("paper")).toEqual([0.01, 0.01]);
    expect(dampingOf("good")).toEqual([null, null]);
    expect(dampingOf("quick")).toEqual([null, null]);
  });

  test.each(presetIds)("%s is recognised by what it sets, and not once that is changed", (id) => {
    const recipe = given(presets[id].sets);
    expect(presetOf(recipe)).toBe(id);
    expect(presetOf(changeRecipe(recipe, { bits: 2, destination: "mlx", calibration: { windows: 3 } }))).toBe(id);
    expect(presetOf(changeRecipe(recipe, { qep: { alpha: 0.4 } }))).toBeNull();
  });
});

describe("a place to run it", () => {
  test("offers QuIP where its weights can be written, or the recipe has it already", () => {
    expect(methodsFor(given({ destination: "transformers" }))).toContain("quip");
    expect(methodsFor(given({ destination: "llama.cpp" }))).toEqual(["rtn", "gptq", "awq", "gptaq"]);
    expect(methodsFor(given({ destination: "llama.cpp", method: "quip" }))).toContain("quip");
  });

  test.each(destinationIds)("%s: what it sets can be run there, from any bits, grid and method", (id) => {
    for (const bits of [2, 3, 4, 8] as const)
      for (const symmetric of [false, true])
        for (const method of ["rtn", "gptq", "quip"] as const) {
          const recipe = suited(given({ bits, symmetric, method }), id, [576, 1536]);
          expect(recipe.destination).toBe(id);
          expect(destinationFault(recipe)).toBeNull();
        }
  });

  test.each<[DestinationId, RecipeChange]>([
    ["transformers", { format: "compressed-tensors", groupSize: 64, symmetric: true, type: "none" }],
    ["vllm", { format: "compressed-tensors", groupSize: 64, symmetric: true, bits: 3 }],
    ["llama.cpp", { format: "gguf", type: "Q3_K_M" }],
    ["mlx", { format: "mlx", groupSize: 64, symmetric: false, zeros: "real" }],
    ["web", { format: "onnx", groupSize: 32, symmetric: false, zeros: "integer" }],
    ["measure", { format: "dense", groupSize: -1, type: "none" }],
  ])("%s gets %j of 3 bits and inputs of 576 and 1536", (id, wanted) => {
    expect(suited(given({ bits: 3 }), id, [576, 1536])).toMatchObject(wanted);
  });

  test("from llama.cpp to another one, the type is gone", () => {
    expect(suited(suited(defaultRecipe, "llama.cpp"), "mlx").type).toBe("none");
  });

  test.each<[RecipeChange, string, string]>([
    [{ destination: "vllm", format: "gguf" }, "vLLM, SGLang does not load the gguf format", "Use compressed-tensors"],
    [{ destination: "vllm", format: "compressed-tensors", bits: 3 }, "asymmetric grids of 3 bits", "Choose symmetric grids."],
    [{ destination: "vllm", format: "gptq", bits: 3, symmetric: true }, "symmetric grids of 3 bits", "Choose 4 bits."],
    [{ destination: "vllm", format: "gptq", bits: 8 }, "asymmetric grids of 8 bits", "Choose symmetric grids."],
    [{ destination: "vllm", format: "gptq", bits: 2 }, "asymmetric grids of 2 bits", "Choose 4 bits and symmetric grids."],
    [
      { destination: "transformers", format: "compressed-tensors", rules: [{ match: "down_proj", bits: 8 }] },
      "mixed asymmetric grids of 4 and 8 bits",
      "Choose symmetric grids.",
    ],
  ])("%j is refused, with the nearest that does", (change, what, hint) => {
    const fault = destinationFault(given(change));
    expect(fault?.what).toContain(what);
    expect(fault?.hint).toContain(hint);
  });

  test("another model's layers get groups that divide them", () => {
    const recipe = suited(defaultRecipe, "vllm", [4096, 14336]);
    expect(recipe.groupSize).toBe(128);
    expect(regrouped(recipe, [576, 1536]).groupSize).toBe(64);
    expect(regrouped(recipe, [4096]).groupSize).toBe(128);
    expect(regrouped(recipe, [100]).groupSize).toBe(-1);
  });
});

test("the versions that are named are those that the tests run", () => {
  const python = readText("tests/interop/requirements.txt");
  const packages = JSON.parse(readText("tests/interop/clients/package.json")).dependencies;
  const pinned = (name: string): string | undefined =>
    ({ "transformers.js": packages["@huggingface/transformers"], wllama: packages["@wllama/wllama"] })[name] ??
    new RegExp(`^${name}==(\\S+)`, "m").exec(python)?.[1];
  const clients = destinationIds.flatMap((id) => destinations[id].tested);
  // tests/interop/gguf.test.ts compares libllama’s, as only there it is installed.
  for (const { name, version } of clients.filter(({ name }) => name !== "llama.cpp")) expect(version, name).toBe(pinned(name));
  for (const { how } of clients) for (const [, file] of how.matchAll(/([\w/.-]+\.ts)/g)) expect(() => readText(file), file).not.toThrow();
  expect(loadsIn("mlx")).toMatch(/^Tested with mlx-lm [\d.]+ and mlx [\d.]+\. Not run/);
});
