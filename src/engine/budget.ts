import { QuantError } from "../errors";
import type { Calibration, TokenWindows } from "../model/calibration";
import { layerShape, stageInputs, stages } from "../model/layers";
import { headBytes } from "../model/logits";
import { lossBytes } from "../model/losses";
import type { ModelSpec } from "../model/spec";
import { type ActivationBudget, type Activations, defaultBudget } from "../ops/activations";
import type { RunPlan } from "../quant/layer-plan";
import { layerKinds } from "../recipe/recipe";
import { chunkTokens, windowsPerChunk } from "./chunks";
import { type StagePeak, stagePeaks } from "./memory";
import type { Device } from "./platform";
import { loadOf } from "./work";

/** GPU memory that a person allows, in bytes; null: as much as there is. */
export type GpuMemory = number | null;

const gibibytes = (bytes: number): string => `${(bytes / 2 ** 30).toFixed(2)} GiB`;

/** A chunk's widest activation, in bytes. */
function widestActivation(spec: ModelSpec, chunk: number): number {
  return 4 * chunk * Math.max(...stages.map((stage) => stageInputs(spec, stage)), ...layerKinds.map((kind) => layerShape(spec, kind)[0]));
}

/** What tensors may take of a memory: buffers are up to a sixteenth larger than what is in them, and the host reads through a buffer of its own. */
const usable = (memory: number, spec: ModelSpec, chunk: number): number => (memory * 15) / 16 - widestActivation(spec, chunk);

/** What activations may take, beside a working set, so that all of it stays within the memory; negative where not even a chunk finds room. */
function activationsBeside(left: number, chunk: number, base: ActivationBudget): ActivationBudget {
  // A chunk that comes to the device is there before another one leaves.
  const device = Math.min(base.device, left - chunk);
  return { ...base, device, kept: Math.min(base.kept, Math.max(0, device / 4)) };
}

/**
 * The activations' budget of a run within a memory.
 * @param tokens of both streams. @param chunk tokens of the largest chunk.
 * @throws QuantError `gpu-limit` naming the layer that does not fit, what it needs, and what would help.
 */
export function runBudget(
  spec: ModelSpec,
  plan: RunPlan,
  tokens: number,
  chunk: number,
  recorded: boolean,
  memory: GpuMemory,
  base: ActivationBudget = defaultBudget,
): ActivationBudget {
  if (memory === null) return base;
  const room = usable(memory, spec, chunk);
  const peaks = stagePeaks(spec, plan, tokens, chunk, recorded, base);
  const worst = peaks.reduce((a, b) => (need(b) > need(a) ? b : a));
  if (need(worst) > room) throw tooLittle(plan, worst, memory, memory + ((need(worst) - room) * 16) / 15);
  // What is left beside the stage that leaves least, which need not be the one that needs most.
  const least = peaks.reduce((a, b) => (b.working + b.chunk > a.working + a.chunk ? b : a));
  return activationsBeside(room - least.working, least.chunk, base);
}

const need = ({ working, activations, chunk }: StagePeak): number => working + Math.min(activations, 2 * chunk);

function tooLittle(plan: RunPlan, { block, stage }: StagePeak, memory: number, needed: number): QuantError {
  const name = plan.layers.find((l) => l.block === block && l.kind === stage.kinds[0])?.name ?? stage.kinds[0];
  return new QuantError(
    "gpu-limit",
    `${name} takes ${gibibytes(needed)} at once, and ${gibibytes(memory)} are allowed`,
    `Allow ${gibibytes(Math.ceil(needed / 2 ** 26) * 2 ** 26)}, use shorter windows, or leave QEP and GPTQ out there (a rule for this layer with RTN and α 0).`,
  );
}

/** Bytes that passes of one chunk take on the device: through a whole block, and its residual stream. */
function passBytes(spec: ModelSpec, chunk: number): { block: number; residual: number } {
  const block = layerKinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0] * layerShape(spec, kind)[1], 0);
  const [qkv, o, gateUp, down] = stages.map((stage) => stage.kinds.reduce((sum, kind) => sum + layerShape(spec, kind)[0], 0));
  // The residual stream before and after, a stage's input, its outputs and what comes of them.
  const passing = chunk * (3 * spec.hidden + Math.max(2 * qkv, o, gateUp + spec.intermediate, down + spec.intermediate));
  return { block: 4 * (block + passing), residual: 4 * chunk * spec.hidden };
}

/**
 * The activations' budget of a forward pass through whole blocks.
 * @param specs of the models whose logits are on the device together. @param tokens that are measured. @throws QuantError `gpu-limit`.
 */
function passBudget(
  specs: readonly ModelSpec[],
  chunk: number,
  tokens: number,
  memory: GpuMemory,
  base: ActivationBudget,
): ActivationBudget {
  if (memory === null) return base;
  const most = (of: (spec: ModelSpec) => number) => Math.max(...specs.map(of));
  const [block, head] = [most((spec) => passBytes(spec, chunk).block), most((spec) => headBytes(spec, chunk, specs.length))];
  const working = Math.max(block, head + lossBytes(tokens, specs.length));
  const residual = most((spec) => passBytes(spec, chunk).residual);
  const room = memory - most((spec) => memory - usable(memory, spec, chunk));
  if (working + residual <= room) return activationsBeside(room - working, residual, base);
  throw new QuantError(
    "gpu-limit",
    `${head > block ? "a slice of the head" : "a block"} and one chunk take ${gibibytes(working + residual + memory - room)} at once, and ${gibibytes(memory)} are allowed`,
    "Allow more, or use shorter windows.",
  );
}

/** Keeps an engine's jobs within the memory that a person allows. */
export class MemoryKeeper {
  memory: GpuMemory = null;

  /** @param base the activations' budget where nothing is limited. */
  constructor(private readonly base: ActivationBudget = defaultBudget) {}

  /** Windows of a chunk. @param keptTokens tokens of the chunks in which a run's streams are kept, if it has begun. */
  perChunk(spec: ModelSpec, { length }: Pick<TokenWindows, "length">, keptTokens: number | null = null): number {
    return keptTokens === null ? windowsPerChunk(spec, length, this.memory) : keptTokens / length;
  }

  /** @throws QuantError `gpu-limit`. */
  runBudget(spec: ModelSpec, plan: RunPlan, calibration: Calibration, perChunk: number, recorded: boolean): ActivationBudget {
    const { tokens, heldTokens } = loadOf(calibration);
    return runBudget(spec, plan, tokens + heldTokens, chunkTokens(calibration, perChunk), recorded, this.memory, this.base);
  }

  /** Prepares a device for a job. @param budget null: as it stands. */
  limit({ ops, activations }: Device, budget: ActivationBudget | null): Activations {
    ops.limitMemory(this.memory);
    if (budget) activations.limit(budget);
    return activations;
  }

  /** Prepares a device for passes through whole blocks. @param specs of the models whose logits are on the device together. @throws QuantError `gpu-limit`. */
  limitPasses(device: Device, specs: readonly ModelSpec[], { length, windows }: Pick<TokenWindows, "length" | "windows">) {
    const perChunk = Math.min(...specs.map((spec) => this.perChunk(spec, { length })));
    const tokens = Number.isFinite(windows) ? windows * length : 0;
    const budget = passBudget(specs, Math.min(perChunk, windows) * length, tokens, this.memory, this.base);
    return { activations: this.limit(device, budget), perChunk };
  }
}
