import { makeZip } from "client-zip";
import { exportCheckpoint } from "../../src/export/checkpoint";
import { bytesFile, memorySink, memorySource } from "../../src/io/memory";
import { openModel } from "../../src/model/checkpoint";
import { createCpuOps } from "../../src/ops/cpu";
import type { Recipe } from "../../src/recipe/recipe";
import { createStudio, type Studio, type Surroundings } from "../../src/store/studio";
import { run } from "../support/engine";
import { type RealClient, realClient, until } from "../support/real-client";
import { recipeWith } from "../support/recipe";
import { tinyTokens } from "../support/tiny";
import { tinyCheckpoint, tinyDemoConfig } from "../support/tiny-demo";

export interface Opened {
  client: RealClient;
  studio: Studio;
  state(): ReturnType<Studio["store"]["getState"]>;
  /** Until no job runs and nothing is asked about the next. */
  settled(): Promise<void>;
  /** How often a method was called. */
  asked(method: string): number;
}

export function made(client = realClient(), surroundings: Surroundings = {}): Opened {
  let made = 0;
  const studio = createStudio(() => client, { ...surroundings, newId: () => `run-${++made}` });
  const state = () => studio.store.getState();
  return {
    client,
    studio,
    state,
    settled: () => until(() => state().job === null && state().model.opening === null && !state().plan.pending, "an idle page"),
    asked: (method) => client.calls.filter((call) => call === method).length,
  };
}

/** With the demo open and its plan there, calibrated on few tokens: a run takes a moment. */
export async function opened(client?: RealClient, calibration: Partial<Recipe["calibration"]> = {}): Promise<Opened> {
  const page = made(client);
  await page.studio.start();
  await page.studio.openDemo();
  page.studio.editRecipe({ calibration: { windows: 4, windowLength: 16, ...calibration } });
  page.studio.editEvaluation({ windows: 4 });
  await page.settled();
  return page;
}

/** Files as a person gives them. */
export const given = (files: readonly File[], label: string) => ({ files: files.map((file) => ({ path: file.name, file })), label });

/** A person's own checkpoint, as files they chose. */
export const checkpointFiles = (config: Record<string, unknown> = {}): File[] =>
  [...tinyCheckpoint({ ...tinyDemoConfig, ...config })].map(([name, content]) => new File([content as Uint8Array<ArrayBuffer>], name));

/** One that is quantized already: what the engine itself exports. */
export async function packedFiles(): Promise<File[]> {
  const ops = createCpuOps();
  const model = await openModel(
    memorySource(
      "tiny",
      [...tinyCheckpoint()].map(([name, content]) => bytesFile(name, content)),
    ),
  );
  const recipe = recipeWith({ method: "rtn", bits: 4, groupSize: 32, symmetric: true, format: "gptq" }, { alpha: 0 });
  const result = await run({ ops, model, tokens: tinyTokens(2, 8), recipe });
  const sink = memorySink();
  await exportCheckpoint({ model, ...result, evaluations: [], sink });
  return [...sink.files].map(([name, content]) => new File([content as Uint8Array<ArrayBuffer>], name));
}

/** These files as the page's own zip of them. */
export async function zipped(files: readonly File[], name: string): Promise<File> {
  const entries = files.map((file) => ({
    name: `${name.replace(/\.zip$/, "")}/${file.name}`,
    input: file,
    lastModified: new Date(2026, 0, 2),
  }));
  return new File([await new Response(makeZip(entries)).arrayBuffer()], name);
}
