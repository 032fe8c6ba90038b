import { watched } from "../io/digest";
import type { Calibration } from "../model/calibration";
import type { Model } from "../model/checkpoint";
import type { ModelSpec } from "../model/spec";
import type { Activations } from "../ops/activations";
import type { Recipe } from "../recipe/recipe";
import { embedChunks, runChunks } from "./chunks";
import { Recording } from "./full-precision";
import { fitsRecording, type StreamState } from "./plan";
import { windowsKey } from "./texts";

/** Keeps the full-precision stream for the next run: one at a time, for the last text that fitted the budget. */
export class Recordings {
  /** @param isWanted whether there may be a next run. */
  constructor(private readonly isWanted: boolean) {}

  private current: { key: string; recording: Recording } | null = null;

  /** What would become of the full-precision stream of a run on these windows. */
  state(spec: ModelSpec, calibration: Calibration, recipe: Recipe, perChunk: number): StreamState {
    if (!this.isWanted || !fitsRecording(spec, calibration)) return "unrecorded";
    const isWhole = this.current?.key === keyOf(calibration, recipe, perChunk) && this.current.recording.residuals.length === spec.blocks;
    return isWhole ? "replayed" : "recorded";
  }

  /** The recording of these windows, a new empty one, or null when it would not fit the budget. */
  async of(
    activations: Activations,
    model: Model,
    calibration: Calibration,
    recipe: Recipe,
    perChunk: number,
    signal?: AbortSignal,
  ): Promise<Recording | null> {
    const key = keyOf(calibration, recipe, perChunk);
    if (this.current?.key === key) return this.current.recording;
    this.drop();
    if (!this.isWanted || !fitsRecording(model.spec, calibration)) return null;
    const { shards, digest } = watched(model.shards);
    const start = await activations.job(async () => {
      const held = await embedChunks(activations, { ...model, shards }, runChunks(calibration, perChunk), signal);
      for (const h of held) await activations.keep(h);
      return held;
    });
    this.current = { key, recording: new Recording(start, await digest()) };
    return this.current.recording;
  }

  drop(): void {
    this.current?.recording.free();
    this.current = null;
  }

  /** Drops the recording without freeing it: a lost device has nothing to free. */
  forget(): void {
    this.current = null;
  }
}

const keyOf = ({ tokens, heldOut }: Calibration, { rotation }: Recipe, perChunk: number): string =>
  [rotation, perChunk, windowsKey(tokens), heldOut && windowsKey(heldOut)].join();
