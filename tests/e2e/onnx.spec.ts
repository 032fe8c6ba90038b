/** A model quantized on the page goes on with a text on another page, in transformers.js, on WebAssembly and on WebGPU. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { type BrowserContext, expect, type Page, test } from "@playwright/test";
import { root } from "../support/tree";
import { button, openDemo, openStudio, recipe, untilDone } from "./studio";
import { unzip } from "./unzip";

const clients = join(root, "tests/interop/clients");
const packages = join(clients, "node_modules");
const prompt = "Once upon a time, there was";
const more = 16;

test("an ONNX export goes on with a text in transformers.js, as it does in Node", async ({ page, context }, info) => {
  const watch = await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Format").selectOption("onnx");
  await untilDone(page, "Run", "Done: RTN 3-bit + QEP α 0.5");
  const folder = info.outputPath("models", "demo");
  await saveExport(page, folder);
  expect(watch).toEqual({ outside: [], faults: [] });

  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clients, "transformers-js.mjs"), prompt, String(more), folder], {
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  const [text]: string[] = JSON.parse(stdout.trim().split("\n").at(-1)!);
  expect(text.length).toBeGreaterThan(prompt.length + more);
  const other = await openClient(context, dirname(folder));
  for (const device of ["wasm", "webgpu"] as const) expect(await goneOn(other, device), device).toBe(text);
});

/** Puts the zip's files into a folder. */
async function saveExport(page: Page, folder: string): Promise<void> {
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
const origin = "http://localhost:1";

/** A page with transformers.js and the exports in `models`. */
async function openClient(context: BrowserContext, models: string): Promise<Page> {
  const folders = { transformers: join(packages, "@huggingface/transformers/dist"), ort: join(packages, "onnxruntime-web/dist"), models };
  await context.route(`${origin}/**`, (route) => {
    const [, top, ...rest] = new URL(route.request().url()).pathname.split("/");
    if (top === "") return route.fulfill({ contentType: "text/html", body: "<!doctype html><title>client</title>" });
    const path = join(folders[top as keyof typeof folders], ...rest);
    return existsSync(path)
      ? route.fulfill({ body: readFileSync(path), contentType: types[extname(path)] })
      : route.fulfill({ status: 404 });
  });
  const page = await context.newPage();
  await page.goto(`${origin}/`);
  return page;
}

/** The prompt with what the page's transformers.js adds to it. */
const goneOn = (page: Page, device: "wasm" | "webgpu"): Promise<string> =>
  page.evaluate(
    async ({ origin, device, prompt, more }) => {
      const { env, pipeline } = await import(`${origin}/transformers/transformers.min.js`);
      Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: "/models/", useBrowserCache: false });
      Object.assign(env.backends.onnx.wasm, { wasmPaths: `${origin}/ort/`, numThreads: 1 });
      const generate = await pipeline("text-generation", "demo", { device });
      const [{ generated_text }] = await generate(prompt, { max_new_tokens: more, do_sample: false });
      return generated_text;
    },
    { origin, device, prompt, more },
  );
