/** One zip file as a Sink, for browsers that cannot write into folders. Stored, not compressed: packed weights do not shrink. */
import { makeZip } from "client-zip";
import { QuantError } from "../errors";
import { makeSink } from "./sink";
import type { Sink, SinkFile, Source, SourceFile } from "./types";
import { zipSource } from "./zip-source";

/** Where the zip's bytes go, front to back. */
export interface ZipTarget {
  /** As a sink's. */
  prepare?(bytes: number): Promise<void>;
  write(bytes: Uint8Array): Promise<void>;
  close(): Promise<void>;
  /** The zip, once it is closed. */
  written(): Promise<SourceFile>;
  /** Removes what was written. */
  abort(): Promise<void>;
}

/** Hands values from a writer to a reader, one at a time; `put` resolves when the reader asks for the next. */
class Channel<T> implements AsyncIterable<T> {
  private waiting: { value: T; taken: () => void } | undefined;
  private ended = false;
  private error: unknown;
  private wake = () => {};
  private reject: (e: unknown) => void = () => {};

  /** Rejects when the reading side has failed, so that a writer never hangs. */
  put(value: T): Promise<void> {
    return new Promise((taken, failed) => {
      if (this.error !== undefined) return failed(this.error);
      this.waiting = { value, taken };
      this.reject = failed;
      this.wake();
    });
  }

  end(): void {
    this.ended = true;
    this.wake();
  }

  /** Both sides see the error: the pending `put` and the pending read. */
  fail(e: unknown): void {
    this.error ??= e;
    this.reject(this.error);
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      if (this.error !== undefined) throw this.error;
      const item = this.waiting;
      if (item) {
        this.waiting = undefined;
        yield item.value;
        item.taken();
      } else if (this.ended) return;
      else await new Promise<void>((ok) => (this.wake = ok));
    }
  }
}

interface ZipEntry {
  name: string;
  size: number;
  lastModified: Date;
  input: AsyncIterable<Uint8Array<ArrayBuffer>>;
}

async function pump(entries: AsyncIterable<ZipEntry>, target: ZipTarget): Promise<void> {
  const reader = makeZip(entries).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    await target.write(value);
  }
}

/**
 * A Sink that streams one zip to `target`, every file under the folder `top`; Zip64 beyond 4 GiB. `date` stamps the entries.
 * Throws disk-full, write-failed.
 */
export function zipSink(target: ZipTarget, top: string, date = new Date()): Sink {
  const entries = new Channel<ZipEntry>();
  let current: Channel<Uint8Array<ArrayBuffer>> | undefined;
  let failure: unknown;
  const failAll = (e: unknown) => {
    failure ??= e;
    current?.fail(e);
    entries.fail(e);
  };
  const pumped = pump(entries, target);
  // Whoever writes next sees the failure; without this handler Node would call it unhandled until then.
  pumped.catch(failAll);

  function open(name: string, size: number): SinkFile {
    const chunks = new Channel<Uint8Array<ArrayBuffer>>();
    current = chunks;
    const accepted = entries.put({ name: `${top}/${name}`, size, lastModified: date, input: chunks });
    accepted.catch(() => {});
    return {
      // A copy, because the stream's queue may hold it while the caller reuses its buffer.
      write: (bytes) => (bytes.length ? chunks.put(bytes.slice()) : Promise.resolve()),
      async close() {
        chunks.end();
        await accepted;
      },
    };
  }

  return makeSink({
    prepare: async (bytes) => target.prepare?.(bytes),
    async open(name, size) {
      // Nobody reads the new file's channel any more, so a write to it would wait for ever.
      if (failure !== undefined) throw failure;
      return open(name, size);
    },
    async finish(check) {
      entries.end();
      await pumped;
      await target.close();
      await check(async () => readBack(await target.written()));
    },
    async abort() {
      failAll(new QuantError("cancelled"));
      await pumped.catch(() => {});
      await target.abort();
    },
  });
}

/** Our own zip, just written: what is wrong with it is about the output. @throws QuantError `verify-failed`. */
async function readBack(zip: SourceFile): Promise<Source> {
  try {
    return await zipSource(zip);
  } catch (e) {
    if (!(e instanceof QuantError) || e.code !== "bad-file") throw e;
    throw new QuantError("verify-failed", e.where, "Export again, to another disk if it happens twice.", { cause: e });
  }
}
