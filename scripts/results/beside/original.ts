/** The model as it is, as a GGUF file in f16: an export of a plan that quantizes nothing. */
import { recipeOf } from "../../../src/cli/recipe";
import { exportCheckpoint } from "../../../src/export/checkpoint";
import { folderSink } from "../../../src/io/node";
import type { Model } from "../../../src/model/checkpoint";
import { resolve } from "../../../src/quant/resolve";

export async function writeOriginal(model: Model, folder: string): Promise<void> {
  // The type only names the file: a format's name for its file is that of its layers' type.
  const recipe = await recipeOf({ format: "gguf", type: "Q8_0", method: "rtn", alpha: "0" });
  const plan = { ...resolve(recipe, model), layers: [], tables: [] };
  const report = { version: "", recipe, adapter: "none", blocks: [], layers: [], ms: 0, streamMs: 0, peakGpuBytes: 0 };
  const quantized = { layer: async () => null, replaced: new Map(), beyondF16: new Map() };
  await exportCheckpoint({ model, plan, quantized, report, evaluations: [], sink: await folderSink(folder) });
}
