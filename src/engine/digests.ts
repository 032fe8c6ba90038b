import { asQuantError, QuantError, throwIfCancelled } from "../errors";
import { digestInputs } from "../export/certificate";
import type { StartHasher } from "../io/hasher";
import type { Checkpoint } from "../model/checkpoint";
import type { FileDigest } from "../results/certificate";

interface Reading {
  readonly digests: Promise<readonly FileDigest[]>;
  /** Bytes read so far. */
  done: number;
  /** Called with the bytes of each further piece. */
  heard: (bytes: number) => void;
  readonly stop: AbortController;
}

/**
 * Digests of the open checkpoint's files for the certificate of an export. They are made once, while the first run computes: a run reads tensors as it needs
 * them and SHA-256 takes a file from its first byte to its last, so that the two cannot share a reading, and nobody waits for this one.
 */
export class Digests {
  private reading: Reading | null = null;

  constructor(private readonly startHasher: StartHasher) {}

  /** Begins to read, unless it has begun. What fails is tried again when the digests are asked for. */
  begin(model: Checkpoint): void {
    const reading = this.start(model);
    reading.digests.catch(() => this.forget(reading));
  }

  /**
   * The digests, once they are there. @param heard is called with the bytes read so far, then with those of each piece.
   * @throws QuantError `cancelled`, which leaves the reading under way; and what reading throws.
   */
  async of(model: Checkpoint, heard: (bytes: number) => void, signal?: AbortSignal): Promise<readonly FileDigest[]> {
    throwIfCancelled(signal);
    const reading = this.start(model);
    heard(reading.done);
    reading.heard = heard;
    const gone = new AbortController();
    try {
      return await Promise.race([reading.digests, cancelledBy(signal, gone.signal)]);
    } catch (cause) {
      if (asQuantError(cause).code !== "cancelled") this.forget(reading);
      throw cause;
    } finally {
      gone.abort();
      reading.heard = () => {};
    }
  }

  /** Forgets the checkpoint, because another one is opened. */
  drop(): void {
    this.reading?.stop.abort();
    this.reading = null;
  }

  private forget(reading: Reading): void {
    if (this.reading === reading) this.reading = null;
  }

  private start(model: Checkpoint): Reading {
    if (this.reading) return this.reading;
    const stop = new AbortController();
    const read = (bytes: number) => {
      reading.done += bytes;
      reading.heard(bytes);
    };
    const reading: Reading = { digests: digestInputs(model, this.startHasher, read, stop.signal), done: 0, heard: () => {}, stop };
    this.reading = reading;
    return reading;
  }
}

/** Never resolves. @param gone nobody waits for it any longer. */
const cancelledBy = (signal: AbortSignal | undefined, gone: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(new QuantError("cancelled")), { signal: gone });
  });
