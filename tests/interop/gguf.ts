/** llama.cpp, and exports for it. */
import { copyFileSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { folderSink, folderSource } from "../../src/io/node";
import { type Model, openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { FormatId, Recipe } from "../../src/recipe/recipe";
import { demoFolder, demoTokens } from "../support/demo";
import { type Finished, run } from "../support/engine";
import { llamaFolder } from "../support/llama";
import { startJobs } from "../support/python";
import { recipeWith } from "../support/recipe";

/** What gguf_clients.py finds; `refused` where llama.cpp does not load the file. */
export interface Found {
  refused?: string;
  difference?: number;
  tensor?: string;
  readers?: number | null;
  perplexity?: number;
  prompt?: number[];
  ids?: number[];
  text?: string | null;
  found?: number[];
  wanted?: number[];
  values?: string;
  gguf?: string | null;
}

export const startLlama = () => startJobs<Record<string, unknown>, Found>("gguf_clients.py", { LLAMA_BIN: llamaFolder() });

/** The checkpoint in a folder, with the demo's tokenizer where it has none. */
export async function openFolder(folder: string): Promise<Model> {
  for (const name of ["tokenizer.json", "tokenizer_config.json"])
    if (!readdirSync(folder).includes(name)) copyFileSync(join(demoFolder, name), join(folder, name));
  return openModel(await folderSource(folder));
}

/** One run on the reference, exported in both formats. */
export async function exportBoth(
  model: Model,
  out: string,
  change: Partial<Recipe>,
): Promise<{ file: string; dense: string; finished: Finished }> {
  const { ids, length } = demoTokens("calibration");
  const recipe = recipeWith({ method: "rtn", format: "gguf", ...change }, { alpha: 0 });
  const finished = await run({
    ops: createCpuOps(),
    model,
    tokens: { windows: 1, length: 16, ids: ids.subarray(0, Math.min(16, length)) },
    recipe,
  });
  mkdirSync(out, { recursive: true });
  for (const format of ["gguf", "dense"] as const satisfies readonly FormatId[])
    await exportCheckpoint({
      model,
      plan: { ...finished.plan, recipe: { ...recipe, format } },
      quantized: finished.quantized,
      report: { ...finished.report, recipe: { ...recipe, format } },
      evaluations: [],
      sink: await folderSink(join(out, format)),
    });
  const name = readdirSync(join(out, "gguf")).find((file) => file.endsWith(".gguf"))!;
  return { file: join(out, "gguf", name), dense: join(out, "dense"), finished };
}
