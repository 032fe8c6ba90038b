/** Hashes the pieces it is sent, in their order; `null` asks for the digest. Whoever started the worker ends it. */
import { plainHasher } from "../io/hasher";

const hasher = plainHasher();

addEventListener("message", async ({ data }: MessageEvent<Uint8Array | null>) => {
  if (data) await hasher.update(data);
  postMessage(data ? null : await hasher.digest());
});
