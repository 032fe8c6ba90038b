/** A small static server for the built page: one folder, GET and HEAD, byte ranges, strict headers. */
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream";
import { parseArgs } from "node:util";
import { headerPolicy } from "./csp.mjs";
import { isMain, root, Stop, script } from "./proc.mjs";

export const pageFolder = join(root, "dist", "page");
const defaultPort = 4173;

/** @type {Record<string, string>} */
const types = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json; charset=utf-8",
  ".jsonl": "application/x-ndjson; charset=utf-8",
  ".map": "application/json; charset=utf-8",
  ".md": "text/markdown; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
  ".woff2": "font/woff2",
};

const securityHeaders = {
  "Content-Security-Policy": headerPolicy,
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Permissions-Policy":
    "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(), payment=(), screen-wake-lock=(self), serial=(), usb=()",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

/**
 * The file a URL means, or null when it means none inside the folder. Dot files stay private.
 * @param {string} folder
 * @param {string} url
 */
function fileFor(folder, url) {
  let path;
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0]);
  } catch {
    return null;
  }
  if (path.endsWith("/")) path += "index.html";
  const parts = path.split("/").slice(1);
  if (!path.startsWith("/") || parts.some((part) => part === "" || part.startsWith(".") || /[\\:\0]/.test(part))) return null;
  return folder + sep + parts.join(sep);
}

/**
 * First and last byte of a single-range request, null for none, "unsatisfiable" beyond the end. Lists of ranges get the whole file, as the standard allows.
 * @param {string | undefined} header
 * @param {number} size
 * @returns {[number, number] | null | "unsatisfiable"}
 */
function rangeOf(header, size) {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  if (!match || (match[1] === "" && match[2] === "")) return null;
  const start = match[1] === "" ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  return start > end ? "unsatisfiable" : [start, end];
}

/**
 * @param {string} folder
 * @param {import("node:http").IncomingMessage} request
 * @param {import("node:http").ServerResponse} response
 */
async function answer(folder, request, response) {
  const refuse = (/** @type {number} */ status, /** @type {Record<string, string>} */ headers = {}) =>
    response.writeHead(status, { ...securityHeaders, "Content-Type": "text/plain; charset=utf-8", ...headers }).end(`${status}\n`);

  if (request.method !== "GET" && request.method !== "HEAD") return refuse(405, { Allow: "GET, HEAD" });
  const file = fileFor(folder, request.url ?? "/");
  const found = file === null ? null : await stat(file).catch(() => null);
  if (file === null || !found?.isFile()) return refuse(404);

  const etag = `"${found.size.toString(16)}-${Math.trunc(found.mtimeMs).toString(16)}"`;
  const headers = {
    ...securityHeaders,
    "Accept-Ranges": "bytes",
    // Vite puts a content hash into the names under assets/, so those never change; everything else is asked for again.
    "Cache-Control": file.startsWith(join(folder, "assets") + sep) ? "public, max-age=31536000, immutable" : "no-cache",
    "Content-Type": types[extname(file)] ?? "application/octet-stream",
    ETag: etag,
  };
  if (request.headers["if-none-match"] === etag) return response.writeHead(304, headers).end();

  const stale = request.headers["if-range"] !== undefined && request.headers["if-range"] !== etag;
  const range = stale ? null : rangeOf(request.headers.range, found.size);
  if (range === "unsatisfiable") return refuse(416, { "Content-Range": `bytes */${found.size}` });
  const [start, end] = range ?? [0, found.size - 1];
  response.writeHead(range ? 206 : 200, {
    ...headers,
    "Content-Length": String(end - start + 1),
    ...(range && { "Content-Range": `bytes ${start}-${end}/${found.size}` }),
  });
  if (request.method === "HEAD" || found.size === 0) return response.end();
  // A visitor who leaves in the middle is no error of ours; pipeline closes the file either way.
  return pipeline(createReadStream(file, { start, end }), response, () => {});
}

/**
 * Serves the folder and resolves to its URL. Without `port` the first free one from 4173 on is taken.
 * @param {{ folder?: string, host?: string, port?: number }} [options]
 * @returns {Promise<{ url: string, close: () => void }>}
 */
export async function serve({ folder = pageFolder, host = "127.0.0.1", port } = {}) {
  const server = createServer((request, response) => {
    answer(folder, request, response).catch(() => response.destroy());
  });
  const listen = (/** @type {number} */ at) =>
    new Promise((resolve, reject) => {
      server.once("error", reject).listen(at, host, () => resolve(server.removeListener("error", reject)));
    });
  for (let at = port ?? defaultPort; ; at++) {
    try {
      await listen(at);
      break;
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      if (code === "EADDRINUSE" && port === undefined && at < defaultPort + 100) continue;
      throw new Stop(
        code === "EADDRINUSE"
          ? `Port ${at} is taken: choose another with --port N, or leave --port out.`
          : `Cannot serve on ${host}:${at} (${code}).`,
      );
    }
  }
  const { port: taken } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/**
 * The flags that `npm start` and this script share.
 * @param {Record<string, { type: "boolean" | "string" }>} [more]
 */
export function serveFlags(more = {}) {
  let values;
  try {
    ({ values } = parseArgs({ options: { host: { type: "string" }, port: { type: "string" }, ...more } }));
  } catch (error) {
    throw new Stop(/** @type {Error} */ (error).message);
  }
  const { host, port, open = false } = /** @type {{ host?: string, port?: string, open?: boolean }} */ (values);
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) < 65536))
    throw new Stop(`--port ${port}: a port is a number from 0 to 65535.`);
  return { host, open, port: port === undefined ? undefined : Number(port) };
}

if (isMain(import.meta)) {
  await script(async () => {
    const { url } = await serve(serveFlags());
    console.log(`Serving dist/page on ${url}`);
  });
}
