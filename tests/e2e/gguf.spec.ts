/** A model quantized on the page for llama.cpp goes on with a text on another page, in wllama, as it does in llama.cpp itself. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { readyPython } from "../../scripts/python.mjs";
import { llamaFolder } from "../support/llama";
import { root } from "../support/tree";
import { openClient, origin, packages, saveExport } from "./client";
import { button, curves, openDemo, openStudio, recipe, region, status, untilDone } from "./studio";

const prompt = "Once upon a time, there was a little girl named";
const count = 12;

test("an export for llama.cpp goes on with a text in wllama, as it does in llama.cpp", async ({ page, context }, info) => {
  const watch = await openStudio(page);
  await openDemo(page);
  await recipe(page).getByLabel("Bits").selectOption("4");
  await recipe(page).getByLabel("Where will you run it?").selectOption({ label: "llama.cpp, LM Studio, Ollama" });
  await expect(recipe(page).getByLabel("GGUF type")).toHaveValue("Q4_K_M");
  await untilDone(page, "Run", "Done: RTN Q4_K_M + QEP α 0.5");
  await untilDone(page, "Measure perplexity", "Done");
  const measured = await figures(page);
  const folder = info.outputPath("model");
  await saveExport(page, folder);
  expect(watch).toEqual({ outside: [], faults: [] });

  const file = readdirSync(folder).find((name) => name.endsWith(".gguf"))!;
  const client = await openClient(context, { wllama: join(packages, "@wllama/wllama/esm"), model: folder });
  expect(await goneOn(client, file)).toBe(theirs(join(folder, file)));

  await client.close();
  // Opened again beside the original, the file is what the run was.
  await choose(page, "Choose files", join(folder, file));
  await expect(region(page)).toContainText("GGUF Q5_0");
  await choose(page, "Choose the original’s folder", join(root, "public/demo/model"));
  await expect(status(page)).toContainText("Done");
  expect(await figures(page)).toEqual(measured);
  await page.getByRole("figure", { name: "Error growth Δ_m" }).getByText("Show as table").click();
  const [curve] = await curves(page);
  expect(curve).toHaveLength(12);
  expect(watch.faults).toEqual([]);
});

/** Perplexities, KL divergence and same top token. */
const figures = (page: Page): Promise<string[]> => page.getByRole("region", { name: "Perplexity" }).locator("table td").allTextContents();

async function choose(page: Page, name: string, path: string): Promise<void> {
  const choosing = page.waitForEvent("filechooser");
  await button(page, name).click();
  await (await choosing).setFiles(path);
}

/** What llama.cpp adds to the prompt. */
function theirs(file: string): string {
  const job = JSON.stringify({ job: "text", file, prompt, count });
  const script = join(root, "tests/interop/gguf_clients.py");
  const { status, stdout, stderr } = spawnSync(readyPython()!, [script, "serve"], {
    encoding: "utf8",
    input: `${job}\n`,
    env: { ...process.env, LLAMA_BIN: llamaFolder() },
  });
  expect(status, stderr).toBe(0);
  return JSON.parse(stdout.trim().split("\n").at(-1)!).text;
}

/** What the page's wllama adds to the prompt, on its CPU. */
const goneOn = (page: Page, file: string): Promise<string> =>
  page.evaluate(
    async ({ origin, file, prompt, count }) => {
      const { Wllama } = await import(`${origin}/wllama/index.js`);
      const wllama = new Wllama({ default: `${origin}/wllama/wasm/wllama.wasm` }, { suppressNativeLog: true });
      const model = await (await fetch(`${origin}/model/${file}`)).blob();
      await wllama.loadModel([model], { n_ctx: 256, n_threads: 1, n_gpu_layers: 0 });
      const { choices } = await wllama.createCompletion({ prompt, max_tokens: count, temperature: 0 });
      await wllama.exit();
      return choices[0].text;
    },
    { origin, file, prompt, count },
  );
