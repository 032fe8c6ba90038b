/** Another page in the same browser, that runs what the studio's page has exported. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import type { BrowserContext, Page } from "@playwright/test";
import { root } from "../support/tree";
import { button } from "./studio";
import { unzip } from "./unzip";

export const clients = join(root, "tests/interop/clients");
export const packages = join(clients, "node_modules");

/** Puts the zip's files into a folder. */
export async function saveExport(page: Page, folder: string): Promise<void> {
  const downloading = page.waitForEvent("download");
  await button(page, "Download as zip").click();
  for (const [name, content] of unzip(readFileSync(await (await downloading).path()))) {
    const path = join(folder, name.slice(name.indexOf("/") + 1));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  }
}

const types: Record<string, string> = {
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".json": "application/json",
};
/** Nobody serves it: all of it is answered here, without the policy of our own page. */
export const origin = "http://localhost:1";

/** A page that is given these folders by name. */
export async function openClient(context: BrowserContext, folders: Readonly<Record<string, string>>): Promise<Page> {
  await context.route(`${origin}/**`, (route) => {
    const [, top, ...rest] = new URL(route.request().url()).pathname.split("/");
    if (top === "") return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>client</title>" });
    const path = join(folders[top], ...rest);
    return existsSync(path)
      ? route.fulfill({ body: readFileSync(path), contentType: types[extname(path)] })
      : route.fulfill({ status: 404 });
  });
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  return page;
}
