/** What the page computes in Chromium against the oracle, and against the command line on Node. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { gpuEnvironment } from "../../scripts/find.mjs";
import { root } from "../support/tree";
import { codesOf, type Packed, readPacked } from "./packed";
import { button, curves, openDemo, openStudio, recipe, status, untilDone } from "./studio";
import { unzip } from "./unzip";

const calibration = join(root, "tests/fixtures/demo/calibration.npy");
const { recipes } = JSON.parse(readFileSync(join(root, "tests/fixtures/oracle/figures.json"), "utf8")) as {
  recipes: Record<string, { delta: number[]; delta_rtol: number }>;
};

test.describe.configure({ mode: "serial" });

let page: Page;
test.beforeAll(async ({ browser }) => {
  page = await browser.newPage();
  await openStudio(page);
  await openDemo(page, "As in the paper");
  await recipe(page).getByLabel("Method").selectOption("rtn");
  await recipe(page).getByText("Advanced").click();
  await recipe(page).getByLabel("Own file").check();
  await recipe(page).getByLabel("Calibration text file").setInputFiles(calibration);
  await recipe(page).getByLabel("Calibration windows").fill("");
  await recipe(page).getByLabel("Format").selectOption({ label: "GPTQ (packed)" });
  await expect(page.getByRole("region", { name: "Run", exact: true })).toContainText("2,048 tokens");
});
test.afterAll(() => page.close());

function expectNear(found: number[], { delta, delta_rtol }: { delta: number[]; delta_rtol: number }) {
  expect(found).toHaveLength(delta.length);
  const off = found.map((value, m) => Math.abs(value / delta[m] - 1));
  expect(Math.max(...off), `relative distances: ${off.map((x) => x.toExponential(1)).join(" ")}`).toBeLessThanOrEqual(delta_rtol);
}

async function exported(): Promise<Map<string, Packed>> {
  const downloading = page.waitForEvent("download");
  await button(page, "Download as zip").click();
  const download = await downloading;
  await expect(status(page)).toContainText("Done: ");
  const files = unzip(readFileSync(await download.path()));
  return readPacked([...files].filter(([name]) => name.endsWith(".safetensors")));
}

test("RTN 3 bits + QEP: every Δ_m is the oracle's", async () => {
  await untilDone(page, "Run", "Done: RTN 3-bit + QEP α 0.5");
  await page.getByText("Show as table").first().click();
  expectNear((await curves(page))[0], recipes["rtn-3-qep"]);
});

test("RTN's codes are those of the command line, but for a thousandth", { tag: "@whole" }, async ({ browserName: _ }, info) => {
  const ours = await exported();
  const out = info.outputPath("cli");
  const flags = ["--preset", "paper", "--method", "rtn", "--bits", "3", "--format", "gptq", "--calibration", calibration];
  // Both from the same sources.
  spawnSync(process.execPath, [join(root, "scripts/build.mjs"), "cli", "--if-stale"]);
  const { status: code, stderr } = spawnSync(
    process.execPath,
    [join(root, "bin/qep-studio.mjs"), "quantize", join(root, "public/demo/model"), "--out", out, ...flags],
    { encoding: "utf8", env: { ...process.env, ...gpuEnvironment() } },
  );
  expect(code, stderr).toBe(0);
  const theirs = await readPacked([["model.safetensors", readFileSync(join(out, "model.safetensors"))]]);
  expect([...ours.keys()].sort()).toEqual([...theirs.keys()].sort());
  let all = 0;
  let different = 0;
  for (const [name, layer] of ours) {
    const [a, b] = [codesOf(layer, 3), codesOf(theirs.get(name)!, 3)];
    expect(a.length).toBe(b.length);
    all += a.length;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) different++;
  }
  expect(all).toBe(12 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 192));
  expect(different / all).toBeLessThanOrEqual(0.001);
});

test("GPTQ 3 bits + QEP: every Δ_m is the oracle's, and its packed export reads strictly", { tag: "@whole" }, async () => {
  await recipe(page).getByLabel("Method").selectOption("gptq");
  await untilDone(page, "Run", "Done: GPTQ 3-bit + QEP α 0.5");
  expectNear((await curves(page))[1], recipes["gptq-3-qep"]);
  const layers = await exported();
  expect(layers.size).toBe(84);
  for (const { shapes } of layers.values()) expect(Object.keys(shapes).sort()).toEqual(["g_idx", "qweight", "qzeros", "scales"]);
  expect(layers.get("model.layers.0.mlp.down_proj")!.shapes).toEqual({ g_idx: [192], qweight: [18, 64], qzeros: [1, 6], scales: [1, 64] });
});
