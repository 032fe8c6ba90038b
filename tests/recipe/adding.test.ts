/** What it takes to add a field, a method with an option, a format: done in a copy of src/, line by line, and then asked for everywhere. */
import { createElement } from "react";
import { renderToStaticMarkup } from "react-dom/server";
import { afterAll, describe, expect, it } from "vitest";
import { createStore } from "zustand/vanilla";
import { copySources, type Line, removeCopies } from "./copy";

afterAll(removeCopies);

/** What command line, page and documents make of the table in a copy. */
async function everywhere(copy: ReturnType<typeof copySources>) {
  const { defaultRecipe } = await copy.module("src/recipe/recipe.ts");
  const { changeRecipe } = await copy.module("src/recipe/access.ts");
  const { parseRecipe } = await copy.module("src/recipe/schema.ts");
  const { rows } = await copy.module("src/recipe/rows.ts");
  const { optionText, helpText } = await copy.module("src/recipe/describe.ts");
  const { parseCommandLine, quantizeOptions, usage } = await copy.module("src/cli/args.ts");
  const { recipeOf } = await copy.module("src/cli/recipe.ts");
  const { commandOf } = await copy.module("src/ui/command.ts");
  const { initialState } = await copy.module("src/store/state.ts");
  const { StudioContext } = await copy.module("src/ui/studio.ts");
  const { RecipePanel } = await copy.module("src/ui/recipe/RecipePanel.tsx");
  return {
    defaultRecipe,
    usage,
    docs: rows.map((row: never) => `${optionText(row)}: ${helpText(row)}`),
    parsed: (change: object) => parseRecipe(changeRecipe(defaultRecipe, change)),
    /** The recipe that the command copied from one with these changes makes. */
    copied: (change: object) => {
      const command: string = commandOf(changeRecipe(defaultRecipe, change), { kind: "demo" });
      return recipeOf(parseCommandLine(command.replaceAll("'", "").split(" ").slice(4), quantizeOptions).options);
    },
    page: (change: object) => {
      const store = createStore(() => ({ ...initialState, recipe: changeRecipe(defaultRecipe, change) }));
      return renderToStaticMarkup(createElement(StudioContext.Provider, { value: { store } }, createElement(RecipePanel)));
    },
  };
}

interface Addition {
  lines: Line[];
  files: Readonly<Record<string, string>>;
}

const field: Addition = {
  lines: [
    {
      file: "src/recipe/fields.ts",
      behind: "    seed: whole(0",
      line: '    stride: whole(1, { label: "Stride", help: "Takes every n-th window.", flag: "stride", min: 1, rule: "stride" }),',
    },
  ],
  files: {
    "src/use.ts":
      'import type { LayerRule, Recipe } from "./recipe/recipe";\nexport const use = (r: Recipe, l: LayerRule): number => l.stride ?? r.calibration.stride;\n',
  },
};

const method: Addition = {
  lines: [
    {
      file: "src/recipe/methods.ts",
      behind: '  awq: method("AWQ"',
      line: '  pull: method("Pull", "towards zero", { force: real(0.5, { label: "Force", help: "How hard.", flag: "pull-force", min: 0, max: 1 }) }),',
    },
    { file: "src/quant/methods.ts", behind: 'export { gptq } from "./gptq"', line: 'export { pull } from "./pull";' },
  ],
  files: {
    "src/quant/pull.ts": `import type { Quantizer } from "./quantizer";
import { rtn } from "./rtn";

export const pull: Quantizer = {
  ...rtn,
  async quantize(stage, options, ops, signal) {
    for (const { weight } of stage.layers) ops.scale(weight, 1 - options.pull.force);
    return rtn.quantize(stage, options, ops, signal);
  },
};
`,
  },
};

const format: Addition = {
  lines: [
    { file: "src/recipe/formats.ts", behind: "  dense: {", line: '  plain: { title: "Plain f32", short: "f32" },' },
    { file: "src/export/formats/index.ts", behind: 'export { gptq } from "./gptq"', line: 'export { plain } from "./plain";' },
  ],
  files: {
    "src/export/formats/plain.ts":
      'import { dense } from "./dense";\nimport type { Format } from "./format";\n\nexport const plain: Format = { ...dense };\n',
  },
};

describe("the compiler", () => {
  // Asked twice in all: it takes seconds over src/.
  const together = { ...field.files, ...method.files, ...format.files };

  it("accepts all three", () => {
    expect(copySources([...field.lines, ...method.lines, ...format.lines], together).compile()).toBe("");
  });

  it("misses what names a method or a format and does not find it", () => {
    const found = copySources([...field.lines, method.lines[0], format.lines[0]], together).compile();
    expect(found).toContain("Property 'pull' is missing");
    expect(found).toContain("Property 'plain' is missing");
  });
});

describe("a field is one line", () => {
  it("that types, schema, command line, rules, page and documents know", async () => {
    const copy = copySources(field.lines, field.files);
    const { defaultRecipe, parsed, copied, usage, docs, page } = await everywhere(copy);
    expect(defaultRecipe.calibration).toEqual({ windows: null, windowLength: 256, seed: 0, stride: 1 });
    expect(() => parsed({ calibration: { stride: 0 } })).toThrow("calibration.stride must be at least 1");
    const rules = [{ match: "o_proj", stride: 2 }];
    expect(parsed({ rules }).rules).toEqual(rules);
    expect((await copied({ calibration: { stride: 5 } })).calibration.stride).toBe(5);
    expect(usage).toMatch(/--stride N +Takes every n-th window\. \[1\]/);
    expect(docs).toContain("--stride N: Takes every n-th window.");
    expect(page({})).toMatch(/>Stride<.*Takes every n-th window\./);
  });
});

describe("a method with an option is one file and its two lines", () => {
  it("that the registry, the schema, the command line, the page and the documents know", async () => {
    const copy = copySources(method.lines, method.files);
    const { quantizers } = await copy.module("src/quant/registry.ts");
    const { pull } = await copy.module("src/quant/pull.ts");
    expect(quantizers.pull).toBe(pull);
    const recipe = await copy.module("src/recipe/recipe.ts");
    expect(recipe.methodOptions(recipe.defaultRecipe).pull).toEqual({ force: 0.5 });
    const { defaultRecipe, parsed, copied, usage, docs, page } = await everywhere(copy);
    expect(defaultRecipe.pull).toEqual({ force: 0.5 });
    expect(() => parsed({ pull: { force: 2 } })).toThrow("pull.force must be at most 1");
    const chosen = { method: "pull", pull: { force: 0.25 } };
    expect(await copied(chosen)).toEqual(parsed(chosen));
    expect((await copied({ pull: { force: 0.25 } })).pull.force).toBe(0.5);
    expect(usage).toContain("--method rtn|gptq|awq|pull|quip|gptaq");
    expect(docs).toContain("--pull-force NUMBER: How hard. (Pull)");
    expect(page({})).toContain('<option value="pull">Pull (towards zero)</option>');
    expect(page({})).not.toContain(">Force<");
    expect(page(chosen)).toContain(">Force<");
  });
});

describe("a format is one file and its two lines", () => {
  it("that layout, schema, command line and page know", async () => {
    const copy = copySources(format.lines, format.files);
    const { formats } = await copy.module("src/export/entries.ts");
    expect(Object.keys(formats)).toContain("plain");
    const { copied, usage, page } = await everywhere(copy);
    expect((await copied({ format: "plain" })).format).toBe("plain");
    expect(usage).toContain("--format dense|plain|gptq");
    expect(page({})).toContain('<option value="plain">Plain f32</option>');
  });
});
