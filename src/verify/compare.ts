/** Layers beside the original's: relative errors, and whether another reading of the file is nearer. */

import type { Checkpoint } from "../model/checkpoint";
import type { Rows } from "../reopen/rows";
import type { ComparedLayer, FindingCode } from "../results/verification";
import { far } from "./deviation";
import { checkFolds, scalableSide } from "./folds";
import type { CheckJob } from "./job";
import { type Matrix, type Reading, rowsAtOnce } from "./matrix";
import { type Fold, factorOf, NormTrials, normBefore, type ReadVector } from "./norms";
import { Original } from "./original";
import { type Other, Others } from "./others";
import { type Side, Sums } from "./sums";

/** Rows on which other readings are tried: enough for millions of weights, and whole heads. */
const triedRows = 256;
/** A reading this many times nearer the original is what the file means. A sound file's error grows with every other reading, so that it is none of them. */
const muchNearer = 1.2;
/** A scale is told, and divided out, where that makes the error so many times smaller. */
const clearlyScaled = 1.5;
/** A layer nearer than this is the original's but for the rounding of its dtype: what a scale would take from so small an error is noise of the sums. */
const asGood = 1e-3;

interface Trial {
  declared: number;
  other: number;
  layers: number;
  reading: Reading;
}

/** What a layer's error is, and what was divided out for it. */
interface Result {
  readonly error: number;
  readonly scaled: Side | null;
  /** Its rows or columns were multiplied by the factors below to come near the original's. */
  readonly isScaled: boolean;
  /** What brings them nearest, whether it makes a difference or not; null where nothing scales such layers without a norm's telling. */
  readonly best: { readonly side: Side; readonly factors: Float64Array; readonly error: number } | null;
}

interface Measured extends Result {
  readonly layer: ComparedLayer;
  readonly norm: string | undefined;
  /** The result with the norm before it left aside. */
  readonly asIs: Result;
}

/** Compares tensor after tensor, and concludes from all of them. */
export class Comparison {
  readonly original: Original;
  private readonly measured: Measured[] = [];
  private readonly norms = new NormTrials();
  private readonly others: Others;
  private readonly trials = new Map<FindingCode, Map<string, Trial>>();

  constructor(
    private readonly job: CheckJob,
    checkpoint: Checkpoint,
    private readonly readVector: ReadVector,
  ) {
    this.original = new Original(checkpoint);
    this.others = new Others(job, this.original);
  }

  async layer(matrix: Matrix): Promise<void> {
    const { name, shape, stored } = matrix;
    const expected = this.original.shapeOf(name);
    if (!expected) return this.job.findings.join("warning", "compared", "The original has no layer of this name.", name);
    if (expected.join() !== shape.join()) {
      const message = `The layers are of other shapes than the original's (${shape.join(" × ")} for ${expected.join(" × ")}).`;
      return this.job.findings.join("error", "far-from-original", message, name);
    }
    const fold = await this.foldBefore(name);
    // First, because the original may keep a tensor that it makes until it is read to its end.
    if (matrix.readings.length) await this.tryReadings(matrix, fold?.factor ?? null);
    const side = this.job.moves.scales ? scalableSide(name) : undefined;
    const [plain, multiplied] = await this.sums(matrix, matrix.rows, shape[0], fold ? [null, fold.factor] : [null], side);
    const asIs = resultOf(plain, side, null);
    const result = fold ? resultOf(multiplied, side, "inputs") : asIs;
    // Where rows may be scaled too, they tell nothing of the norm.
    if (fold && !side) this.norms.add(fold, asIs.error, result.error);
    const layer = { name, shape: [shape[0], shape[1]] as [number, number], stored, error: result.error, scaled: result.scaled };
    this.job.layers.push(layer);
    this.measured.push({ ...result, asIs, norm: fold?.norm, layer });
  }

  /** A tensor that is no linear layer. */
  async other(other: Other): Promise<void> {
    await this.others.compare(other);
  }

  /** What the file's norm before a layer was multiplied by, per input: its inputs were divided by that. */
  private async foldBefore(layer: string): Promise<Fold | null> {
    const norm = normBefore(layer);
    if (norm === null) return null;
    const [before, now] = [await this.original.vector(norm), await this.readVector(norm)];
    const factor = before && now && factorOf(now, before);
    return factor && { norm, factor };
  }

  private async tryReadings(matrix: Matrix, factor: Float32Array | null): Promise<void> {
    const rows = Math.min(matrix.shape[0], Math.max(1, Math.floor(triedRows / matrix.unit)) * matrix.unit);
    const errorOf = async (read: Rows) => (await this.sums(matrix, read, rows, [factor]))[0].error() ** 2;
    const declared = await errorOf(matrix.rows);
    for (const reading of matrix.readings) {
      const byHow = this.trials.get(reading.code) ?? new Map<string, Trial>();
      this.trials.set(reading.code, byHow);
      const trial = byHow.get(reading.how) ?? { declared: 0, other: 0, layers: 0, reading };
      trial.declared += declared;
      trial.other += await errorOf(reading.rows);
      trial.layers++;
      byHow.set(reading.how, trial);
    }
  }

  /** Sums for each of the factors, of which only the last may be one: it changes what was read. */
  private async sums(
    { name, shape, unit }: Matrix,
    read: Rows,
    end: number,
    factors: readonly (Float32Array | null)[],
    side?: Side,
  ): Promise<Sums[]> {
    const all = factors.map(() => new Sums(shape[1], end, side));
    const step = rowsAtOnce(shape, unit);
    for (let from = 0; from < end; from += step) {
      this.job.read(0, name);
      const to = Math.min(end, from + step);
      const [W, file] = [await this.original.rows(name, from, to), await read(from, to)];
      for (const [i, sums] of all.entries()) sums.add(from, W, file, factors[i]);
    }
    return all;
  }

  /** The findings from all tensors. */
  conclude(): void {
    const { findings, layers } = this.job;
    const misread = [...this.trials].filter(([code, trials]) => this.tellReading(code, [...trials.values()])).length > 0;
    const changedNorms = misread ? new Set<string>() : this.norms.unexplained;
    const results = this.settle(changedNorms);
    const isApart = layers.length > 0 && !misread && this.tellErrors(results);
    const outputsOf = (layer: string) => {
      const best = results.get(layer)?.best;
      return best?.side === "outputs" ? best : null;
    };
    this.others.conclude({ changedNorms, outputsOf }, isApart ? farFromOriginal : null);
    if (!layers.length && findings.passed)
      findings.add("warning", "compared", "No layer could be compared: none has a name of the original's.");
  }

  /** The layers' results, in which no norm is believed that was changed without them. */
  private settle(changedNorms: ReadonlySet<string>): ReadonlyMap<string, Result> {
    const results = this.measured.map(({ layer, norm, asIs, ...result }): [string, Result] => {
      const settled = norm !== undefined && changedNorms.has(norm) ? asIs : result;
      layer.error = settled.error;
      layer.scaled = settled.scaled;
      return [layer.name, settled];
    });
    return new Map(results);
  }

  /** Whether another reading is much nearer the original. */
  private tellReading(code: FindingCode, trials: readonly Trial[]): boolean {
    const best = trials.reduce((a, b) => (b.other / b.declared < a.other / a.declared ? b : a));
    const times = Math.sqrt(best.declared / best.other);
    if (!(times >= muchNearer)) return false;
    const { how, means } = best.reading;
    const message = `The layers are ${timesText(times)} nearer the original's with ${how}: ${means}`;
    this.job.findings.add("error", code, message, `${best.layers} layers`);
    return true;
  }

  /** Returns whether there are layers that are not the original's. */
  private tellErrors(results: ReadonlyMap<string, Result>): boolean {
    const { findings, layers } = this.job;
    checkFolds(findings, results);
    const scaled = layers.filter((layer) => layer.scaled).length;
    if (scaled)
      findings.add(
        "ok",
        "compared",
        `${scaled} layers are compared after a scale was divided out that AWQ puts into the norm or layer before.`,
      );
    return this.tellDistant();
  }

  /** Tells how near the layers are, or which are far; returns whether those are not the original's. */
  private tellDistant(): boolean {
    const { findings, layers, moves } = this.job;
    const distant = layers.filter(({ error }) => !(error < far));
    if (!distant.length) {
      findings.add("ok", "compared", summaryOf(layers));
      return false;
    }
    // A correction grows through the blocks. Where most layers are far, they are another model's.
    const isCorrected = moves.corrects && distant.length < layers.length / 2;
    const [level, message] = isCorrected ? (["warning", movedFar(distant)] as const) : (["error", farFromOriginal] as const);
    for (const { name } of distant) findings.join(level, "far-from-original", message, name);
    return !isCorrected;
  }
}

/** @param otherwise what was divided out of the sums already. */
function resultOf(sums: Sums, side: Side | undefined, otherwise: Side | null): Result {
  const error = sums.error();
  const best = side ? { side, ...sums.scaled() } : null;
  const isScaled = best !== null && error > asGood && best.error * clearlyScaled < error && best.error < far;
  return isScaled ? { error: best.error, scaled: best.side, isScaled, best } : { error, scaled: otherwise, isScaled, best };
}

const farFromOriginal =
  "The layers are not the original's: its weights are another model's, were rotated, or are read in a way that is not known here.";

const movedFar = (layers: readonly ComparedLayer[]) =>
  `QEP's correction moved layers far from the original's (‖W − Ŵ‖ / ‖W‖ up to ${worstOf(layers).error.toPrecision(2)}). The files are as the run wrote them; how near the model is, its outputs tell: evaluate it. A smaller α, more damping or more calibration tokens keep layers nearer.`;

const worstOf = (layers: readonly ComparedLayer[]) => layers.reduce((a, b) => (b.error > a.error ? b : a));

function summaryOf(layers: readonly ComparedLayer[]): string {
  const errors = layers.map(({ error }) => error);
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  return `${layers.length} linear layers are the original's within a relative error of ${mean.toPrecision(3)} on average, ${worstOf(layers).error.toPrecision(3)} at most.`;
}

const timesText = (times: number) => `${times >= 10 ? Math.round(times) : times.toFixed(1)} times`;
