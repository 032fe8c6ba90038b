/** A model quantized on the page goes on with a text on another page, in transformers.js, on WebAssembly and on WebGPU. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { clients, openClient, origin, packages, saveExport } from "./client";
import { openDemo, openStudio, recipe, untilDone } from "./studio";

const prompt = "Once upon a time, there was";
const more = 16;

test("an ONNX export goes on with a text in transformers.js, as it does in Node", async ({ page, context }, info) => {
  const watch = await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Where will you run it?").selectOption({ label: "A web page (transformers.js)" });
  await untilDone(page, "Run", "Done: RTN 3-bit g32 + QEP α 0.5");
  const folder = info.outputPath("models", "demo");
  await saveExport(page, folder);
  expect(watch).toEqual({ outside: [], faults: [] });

  const { status, stdout, stderr } = spawnSync(process.execPath, [join(clients, "transformers-js.mjs"), prompt, String(more), folder], {
    encoding: "utf8",
  });
  expect(status, stderr).toBe(0);
  const [text]: string[] = JSON.parse(stdout.trim().split("\n").at(-1)!);
  expect(text.length).toBeGreaterThan(prompt.length + more);
  const other = await openClient(context, {
    transformers: join(packages, "@huggingface/transformers/dist"),
    ort: join(packages, "onnxruntime-web/dist"),
    models: dirname(folder),
  });
  for (const device of ["wasm", "webgpu"] as const) expect(await goneOn(other, device), device).toBe(text);
});

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
