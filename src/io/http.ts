/** A Source over files of this page's own server: the embedded demo. */
import { QuantError } from "../errors";
import { bytesFile } from "./memory";
import { shown } from "./text";
import type { Source } from "./types";

const HINT = "Reload the page; if it stays, the server does not carry the demo's files.";

async function fetchFile(url: string, name: string, signal?: AbortSignal): Promise<Uint8Array> {
  let problem: string;
  try {
    const response = await fetch(url, signal ? { signal } : {});
    // Single-page servers answer a missing file with 200 and the page itself.
    const isPage = /^text\/html/i.test(response.headers.get("content-type") ?? "");
    if (response.ok && !isPage) return new Uint8Array(await response.arrayBuffer());
    problem = isPage ? "the server has no such file" : `the server answered ${response.status}`;
  } catch (cause) {
    if (signal?.aborted) throw new QuantError("cancelled");
    throw new QuantError("bad-file", `${shown(name)}: the download failed`, HINT, { cause });
  }
  throw new QuantError("bad-file", `${shown(name)}: ${problem}`, HINT);
}

/**
 * Fetches the named files under `baseUrl`, each whole and once, in parallel. They are fetched here and not at the first read because a
 * SourceFile must know its size, and Content-Length is that of the compressed body on many servers. Throws `bad-file`, `cancelled`.
 */
export async function httpSource(label: string, baseUrl: string, names: readonly string[], signal?: AbortSignal): Promise<Source> {
  const base = baseUrl.endsWith("/") ? baseUrl : `${baseUrl}/`;
  const bytes = await Promise.all(names.map((n) => fetchFile(base + encodeURIComponent(n), n, signal)));
  return { label, files: names.map((n, i) => bytesFile(n, bytes[i])) };
}
