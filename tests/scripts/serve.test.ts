import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { headerPolicy } from "../../scripts/csp.mjs";
import { serve } from "../../scripts/serve.mjs";

describe("the page's server", () => {
  let folder: string;
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "qep-serve-"));
    const page = join(folder, "page");
    mkdirSync(join(page, "assets"), { recursive: true });
    mkdirSync(join(page, ".private"));
    writeFileSync(join(folder, "secret.txt"), "secret");
    writeFileSync(join(page, ".private", "x.txt"), "secret");
    writeFileSync(join(page, "index.html"), "<!doctype html>");
    writeFileSync(join(page, "assets", "index-abc.js"), "0123456789");
    writeFileSync(join(page, "empty.json"), "");
    server = await serve({ folder: page, port: 0 });
  });
  afterAll(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Unlike fetch, sends the path as it is written. */
  const status = (path: string, method = "GET") =>
    new Promise<number | undefined>((resolve, reject) => {
      const { hostname, port } = new URL(server.url);
      request({ hostname, port, path, method }, (response) => resolve(response.resume().statusCode))
        .on("error", reject)
        .end();
    });

  it("sends the policy with every answer, refusals too", async () => {
    for (const path of ["", "assets/index-abc.js", "gone"]) {
      const { headers } = await fetch(server.url + path);
      expect(headers.get("content-security-policy")).toBe(headerPolicy);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });

  it("knows types, and keeps only hashed files in caches", async () => {
    const page = await fetch(server.url);
    expect([page.headers.get("content-type"), page.headers.get("cache-control")]).toEqual(["text/html; charset=utf-8", "no-cache"]);
    const script = await fetch(`${server.url}assets/index-abc.js`);
    expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect(script.headers.get("cache-control")).toContain("immutable");
    const again = await fetch(server.url, { headers: { "If-None-Match": page.headers.get("etag") ?? "" } });
    expect(again.status).toBe(304);
  });

  it.each([
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "/..\\secret.txt",
    "/.private/x.txt",
    "//secret.txt",
    "/%00",
    "/%zz",
    "/assets",
  ])("gives nothing for %s", async (path) => {
    expect(await status(path)).toBe(404);
  });

  it("answers GET and HEAD alone, and survives an empty file", async () => {
    expect(await status("/", "POST")).toBe(405);
    expect(await status("/", "HEAD")).toBe(200);
    expect(await (await fetch(`${server.url}empty.json`)).text()).toBe("");
  });

  it.each([
    ["bytes=2-5", 206, "2345"],
    ["bytes=7-", 206, "789"],
    ["bytes=-3", 206, "789"],
    ["bytes=8-99", 206, "89"],
    ["bytes=10-", 416, "416\n"],
    ["bytes=0-1,3-4", 200, "0123456789"],
  ])("range %s", async (range, code, text) => {
    const response = await fetch(`${server.url}assets/index-abc.js`, { headers: { Range: range } });
    expect([response.status, await response.text()]).toEqual([code, text]);
  });

  it("says in one sentence that a port is taken", async () => {
    await expect(serve({ port: Number(new URL(server.url).port) })).rejects.toThrow(/^Port \d+ is taken: .*\.$/);
  });
});
