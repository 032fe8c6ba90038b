import type { Shards } from "./types";

/** SHA-256 in hexadecimal. */
export async function sha256(bytes: Uint8Array): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const sha256OfText = (text: string): Promise<string> => sha256(new TextEncoder().encode(text));

export interface WatchedShards {
  readonly shards: Shards;
  /** The digest of all that was read since the last call, regardless of order and repetition; null if nothing was. */
  digest(): Promise<string | null>;
}

/** The same shards, which also keep a digest of what is read from them. */
export function watched(shards: Shards): WatchedShards {
  let seen: Promise<string>[] = [];
  return {
    shards: {
      ...shards,
      async readTensor(name, rows) {
        const bytes = await shards.readTensor(name, rows);
        const part = rows ? `${name} ${rows.from} ${rows.to}` : name;
        seen.push(sha256(bytes).then((digest) => `${part} ${digest}`));
        return bytes;
      },
    },
    async digest() {
      const lines = await Promise.all(seen);
      seen = [];
      return lines.length ? sha256OfText([...new Set(lines)].sort().join("\n")) : null;
    },
  };
}
