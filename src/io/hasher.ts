/** SHA-256 of bytes that come piece by piece: `crypto.subtle` takes a whole file at once. */
import { sha256 } from "@noble/hashes/sha2.js";
import { throwIfCancelled } from "../errors";
import type { Sink, SourceFile } from "./types";

export interface Hasher {
  /** The bytes may be changed once it is settled. */
  update(bytes: Uint8Array): Promise<void>;
  /** In hexadecimal. Ends it. */
  digest(): Promise<string>;
  /** Ends it without a digest. */
  close(): void;
}

export type StartHasher = () => Hasher;

export const hex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

/** In JavaScript, in this thread: about 100 MB a second. */
export const plainHasher: StartHasher = () => {
  const hash = sha256.create();
  return {
    async update(bytes) {
      hash.update(bytes);
    },
    digest: async () => hex(hash.digest()),
    close: () => {},
  };
};

const pieceBytes = 4 * 2 ** 20;

/** A file's digest. @param read is called with the bytes of each piece. @throws QuantError `cancelled`, and what reading throws. */
export async function sha256OfFile(
  file: SourceFile,
  start: StartHasher,
  read: (bytes: number) => void = () => {},
  signal?: AbortSignal,
): Promise<string> {
  const hasher = start();
  try {
    for (let at = 0; at < file.size; at += pieceBytes) {
      throwIfCancelled(signal);
      const end = Math.min(file.size, at + pieceBytes);
      await hasher.update(await file.read(at, end));
      read(end - at);
    }
    return await hasher.digest();
  } finally {
    hasher.close();
  }
}

/** The same sink, which also hashes what is written. @param hashed is called with each file once it is closed. */
export function hashingSink(sink: Sink, start: StartHasher, hashed: (file: { name: string; bytes: number; sha256: string }) => void): Sink {
  let current: Hasher | null = null;
  return {
    ...sink,
    async create(name, bytes) {
      const file = await sink.create(name, bytes);
      const hasher = start();
      current = hasher;
      return {
        async write(part) {
          // Both at once, where hashing has a thread of its own.
          await Promise.all([hasher.update(part), file.write(part)]);
        },
        async close() {
          const sha256 = await hasher.digest();
          hasher.close();
          await file.close();
          hashed({ name, bytes, sha256 });
        },
      };
    },
    abort() {
      current?.close();
      return sink.abort();
    },
  };
}
