/** Files in memory: pasted text, made-up checkpoints in tests. */
import { makeSink } from "./sink";
import { checkRange } from "./source";
import type { Sink, Source, SourceFile } from "./types";

/** A file over bytes (or text, as UTF-8) that are already here; reads are copies. */
export function bytesFile(name: string, content: Uint8Array | string): SourceFile {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return {
    name,
    size: bytes.length,
    async read(start, end) {
      checkRange(this, start, end);
      return new Uint8Array(bytes.subarray(start, end));
    },
  };
}

export function memorySource(label: string, files: readonly SourceFile[]): Source {
  return { label, files };
}

/** A sink whose files can be looked at: `files` holds what was closed, `finished` turns true at finish, abort empties it. */
export interface MemorySink extends Sink {
  readonly files: Map<string, Uint8Array>;
  readonly finished: boolean;
}

export function memorySink(): MemorySink {
  const files = new Map<string, Uint8Array>();
  let finished = false;
  const sink = makeSink({
    async open(name, size) {
      const out = new Uint8Array(size);
      let at = 0;
      return {
        async write(bytes) {
          out.set(bytes, at);
          at += bytes.length;
        },
        async close() {
          files.set(name, out);
        },
      };
    },
    async finish(check) {
      await check(async () => ({ label: "memory", files: [...files].map(([name, bytes]) => bytesFile(name, bytes)) }));
      finished = true;
    },
    async abort() {
      files.clear();
    },
  });
  return {
    ...sink,
    files,
    get finished() {
      return finished;
    },
  };
}
