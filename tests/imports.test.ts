import { describe, expect, it } from "vitest";
import { checkArrows } from "./support/arrows";
import { filesUnder, readText } from "./support/tree";

const made = (files: Record<string, string>) => checkArrows(new Map(Object.entries(files)));
const nothing = "export {};";

it("src keeps to the arrows of the design and has no cycle", () => {
  expect(checkArrows(new Map(filesUnder("src").map((path) => [path, readText(path)])))).toEqual([]);
});

describe("the checker sees", () => {
  it.each([
    ["an arrow to the left", "src/ops/cpu.ts", 'import { run } from "../engine/run";', "src/engine/run.ts"],
    ["a type to the left", "src/quant/rtn.ts", 'import type { Run } from "../engine/run";', "src/engine/run.ts"],
    ["a lazy import", "src/ui/App.tsx", 'const run = await import("../engine/run");', "src/engine/run.ts"],
    ["a re-export", "src/store/studio.ts", 'export * from "../engine/run";', "src/engine/run.ts"],
    ["an import over several lines", "src/io/shards.ts", 'import {\n  a,\n  b,\n} from "../model/spec";', "src/model/spec.ts"],
    ["a value from io/types", "src/ui/App.tsx", 'import { dtypes } from "../io/types";', "src/io/types.ts"],
    ["a client that imports the worker", "src/worker/client.ts", 'import { x } from "./worker";', "src/worker/worker.ts"],
    [
      "a worker started elsewhere",
      "src/ui/App.tsx",
      'new Worker(new URL("../worker/worker.ts", import.meta.url));',
      "src/worker/worker.ts",
    ],
    [
      "the calls of the worker in an engine",
      "src/engine/run.ts",
      'import type { Api } from "../worker/protocol";',
      "src/worker/protocol.ts",
    ],
    ["the calls of the worker in a panel", "src/ui/App.tsx", 'import type { Api } from "../worker/protocol";', "src/worker/protocol.ts"],
    ["a result that knows the engine", "src/results/report.ts", 'import type { Run } from "../engine/run";', "src/engine/run.ts"],
    ["a leaf that is none", "src/recipe/recipe.ts", 'import { spec } from "../model/spec";', "src/model/spec.ts"],
    ["a shader outside the kernels", "src/quant/rtn.ts", 'import code from "../../shaders/rtn.wgsl?raw";', "shaders/rtn.wgsl"],
  ])("%s", (_, from, code, to) => {
    expect(made({ [from]: code, [to]: nothing })).toEqual([`${from} may not import ${to}`]);
  });

  it.each([
    ["src/store/studio.ts", "react"],
    ["src/engine/run.ts", "comlink"],
    ["src/ops/gpu/device.ts", "webgpu"],
    ["src/model/checkpoint.ts", "node:fs"],
  ])("%s importing %s", (from, name) => {
    expect(made({ [from]: `import * as x from "${name}";` })).toEqual([`${from} may not import ${name}`]);
  });

  it("a browser global outside its places, but not a variable of that name", () => {
    expect(made({ "src/engine/run.ts": "if (document.hidden) stop();" })).toEqual(["src/engine/run.ts may not use document"]);
    expect(made({ "src/worker/worker.ts": "await navigator.gpu.requestAdapter();" })).toEqual([
      "src/worker/worker.ts may not use navigator",
    ]);
    expect(made({ "src/model/calibration.ts": "for (const window of windows) total += window.length;" })).toEqual([]);
    expect(made({ "src/engine/run.ts": "// document.hidden would do" })).toEqual([]);
  });

  it("a cycle, a missing file and a folder without a layer", () => {
    expect(made({ "src/io/a.ts": 'import "./b";', "src/io/b.ts": 'import "./c";', "src/io/c.ts": 'import "./a";' })).toEqual([
      "cycle: src/io/a.ts → src/io/b.ts → src/io/c.ts → src/io/a.ts",
    ]);
    expect(made({ "src/io/a.ts": 'import "./gone";' })).toEqual(["src/io/a.ts imports src/io/gone, which does not exist"]);
    expect(made({ "src/util/a.ts": 'import "../errors";', "src/errors.ts": nothing })).toEqual([
      "src/util/a.ts is in no layer of the design",
    ]);
  });

  it("what is allowed", () => {
    expect(
      made({
        "src/main.tsx":
          'import { App } from "./ui/App"; import { createRoot } from "react-dom/client"; navigator.gpu.getPreferredCanvasFormat();',
        "src/ui/App.tsx": 'import { useStudio } from "../store/studio"; import type { Source } from "../io/types"; import "./base.css";',
        "src/ui/base.css": "",
        "src/store/studio.ts": 'import { connect } from "../worker/client";',
        "src/worker/client.ts": 'import { wrap } from "comlink"; new Worker(new URL("./worker.ts", import.meta.url));',
        "src/worker/worker.ts": 'import { run } from "../engine/run"; import { shards } from "../io/shards";',
        "src/cli/main.ts": 'import { run } from "../engine/run"; import { open } from "node:fs/promises";',
        "src/engine/run.ts": 'import { quantizers } from "../quant/registry"; import { QuantError } from "../errors";',
        "src/quant/registry.ts": nothing,
        "src/ops/gpu/kernels.ts": 'import code from "../../../shaders/gemm.wgsl?raw";',
        "src/io/shards.ts": 'import type { Source } from "./types";',
        "src/io/types.ts": nothing,
        "src/errors.ts": nothing,
      }),
    ).toEqual([]);
  });
});
