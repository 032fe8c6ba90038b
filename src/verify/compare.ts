/** Layers beside the original's: relative errors, and whether another reading of the file is nearer. */

import type { Rows } from "../reopen/rows";
import type { ComparedLayer, FindingCode } from "../results/verification";
import { checkFolds, scalableSide } from "./folds";
import type { CheckJob } from "./job";
import { type Matrix, type Reading, rowsAtOnce } from "./matrix";
import type { Original } from "./original";
import { type Side, Sums } from "./sums";

/** Rows on which other readings are tried: enough for millions of weights, and whole heads. */
const triedRows = 256;
/** A reading this many times nearer the original is what the file means. A sound file's error grows with every other reading, so that it is none of them. */
const muchNearer = 1.2;
/** Beyond this a layer has little to do with the original's. */
const far = 0.7;
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

/** Compares layer after layer, and concludes from all of them. */
export class Comparison {
  /** What layers' rows or columns were multiplied by to come near the original's. */
  private readonly factors = new Map<string, Float64Array>();
  private readonly trials = new Map<FindingCode, Map<string, Trial>>();

  constructor(
    private readonly job: CheckJob,
    private readonly original: Original,
    /** What the file's norm before a layer was multiplied by, per input: its inputs were divided by that. */
    private readonly inputFactor: (layer: string) => Promise<Float32Array | null> = async () => null,
  ) {}

  async layer(matrix: Matrix): Promise<void> {
    const { name, shape, stored } = matrix;
    const expected = this.original.shapeOf(name);
    if (!expected) return this.job.findings.join("warning", "compared", "The original has no layer of this name.", name);
    if (expected.join() !== shape.join()) {
      const message = `The layers are of other shapes than the original's (${shape.join(" × ")} for ${expected.join(" × ")}).`;
      return this.job.findings.join("error", "far-from-original", message, name);
    }
    const factor = await this.inputFactor(name);
    // First, because the original may keep a tensor that it makes until it is read to its end.
    if (matrix.readings.length) await this.tryReadings(matrix, factor);
    const side = scalableSide(name);
    const sums = await this.sums(matrix, matrix.rows, shape[0], factor, side);
    const plain = sums.error();
    const { error, factors } = side ? sums.scaled() : { error: plain, factors: null };
    const isScaled = plain > asGood && error * clearlyScaled < plain && error < far;
    if (isScaled) this.factors.set(name, factors!);
    const scaled = isScaled ? side! : factor ? "inputs" : null;
    this.job.layers.push({ name, shape: [shape[0], shape[1]], stored, error: isScaled ? error : plain, scaled });
  }

  private async tryReadings(matrix: Matrix, factor: Float32Array | null): Promise<void> {
    const rows = Math.min(matrix.shape[0], Math.max(1, Math.floor(triedRows / matrix.unit)) * matrix.unit);
    const declared = (await this.sums(matrix, matrix.rows, rows, factor)).error() ** 2;
    for (const reading of matrix.readings) {
      const byHow = this.trials.get(reading.code) ?? new Map<string, Trial>();
      this.trials.set(reading.code, byHow);
      const trial = byHow.get(reading.how) ?? { declared: 0, other: 0, layers: 0, reading };
      trial.declared += declared;
      trial.other += (await this.sums(matrix, reading.rows, rows, factor)).error() ** 2;
      trial.layers++;
      byHow.set(reading.how, trial);
    }
  }

  private async sums({ name, shape, unit }: Matrix, read: Rows, end: number, factor: Float32Array | null, side?: Side): Promise<Sums> {
    const sums = new Sums(shape[1], end, side);
    const step = rowsAtOnce(shape, unit);
    for (let from = 0; from < end; from += step) {
      this.job.read(0, name);
      const to = Math.min(end, from + step);
      sums.add(from, await this.original.rows(name, from, to), await read(from, to), factor);
    }
    return sums;
  }

  /** The findings from all layers. */
  conclude(): void {
    const { findings, layers } = this.job;
    const misread = [...this.trials].filter(([code, trials]) => this.tellReading(code, [...trials.values()])).length > 0;
    if (layers.length && !misread) this.tellErrors();
    else if (!layers.length && findings.passed)
      findings.add("warning", "compared", "No layer could be compared: none has a name of the original's.");
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

  private tellErrors(): void {
    const { findings, layers } = this.job;
    const apart = layers.filter(({ error }) => !(error < far));
    for (const { name } of apart) findings.join("error", "far-from-original", farFromOriginal, name);
    checkFolds(findings, this.factors);
    const scaled = layers.filter((layer) => layer.scaled).length;
    if (scaled)
      findings.add(
        "ok",
        "compared",
        `${scaled} layers are compared after a scale was divided out that AWQ puts into the norm or layer before.`,
      );
    if (!apart.length) findings.add("ok", "compared", summaryOf(layers));
  }
}

const farFromOriginal =
  "The layers are not the original's: its weights are another model's, were rotated, or are read in a way that is not known here.";

function summaryOf(layers: readonly ComparedLayer[]): string {
  const errors = layers.map(({ error }) => error);
  const worst = layers.reduce((a, b) => (b.error > a.error ? b : a));
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  return `${layers.length} linear layers are the original's within a relative error of ${mean.toPrecision(3)} on average, ${worst.error.toPrecision(3)} at most.`;
}

const timesText = (times: number) => `${times >= 10 ? Math.round(times) : times.toFixed(1)} times`;
