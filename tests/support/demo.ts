import { readFileSync } from "node:fs";
import { folderSource } from "../../src/io/node";
import { type TokenWindows, windowsFromNpy } from "../../src/model/calibration";
import { type Model, openModel } from "../../src/model/checkpoint";

const fixture = (path: string) => new URL(`../fixtures/${path}`, import.meta.url);

export const demoFolder = new URL("../../public/demo/model", import.meta.url).pathname;

/** The demo, or only its first blocks: what happens in these does not depend on the others. */
export async function openDemo(blocks?: number): Promise<Model> {
  const model = await openModel(await folderSource(demoFolder));
  return blocks ? { ...model, spec: { ...model.spec, blocks } } : model;
}

/** The token windows of the oracle's figures. */
export const demoTokens = (name: "calibration" | "evaluation"): TokenWindows =>
  windowsFromNpy(`${name}.npy`, readFileSync(fixture(`demo/${name}.npy`)), 128);

/** What the oracle found for one recipe; `flags` are the command line's. */
export interface Figures {
  flags: string[];
  perplexityBefore: number;
  perplexity: number;
  delta: number[];
  relativeDelta: number[];
  deltaEvaluation: number[];
  layers: Record<string, number>;
  delta_rtol: number;
  perplexity_rtol: number;
}

export const figures: Record<string, Figures> = JSON.parse(readFileSync(fixture("oracle/figures.json"), "utf8")).recipes;
