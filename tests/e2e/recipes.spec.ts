/** What a recipe can say beyond method and bits, and what is left when a model cannot be run. On the real engine. */
import { readFileSync } from "node:fs";
import { expect, test } from "@playwright/test";
import { demoWith } from "./checkpoints";
import { button, openDemo, openStudio, recipe, region, untilDone } from "./studio";
import { unzip } from "./unzip";

test("rules, a rotation and α on held-out windows", async ({ page }) => {
  const watch = await openStudio(page);
  await openDemo(page);
  const panel = recipe(page);
  await panel.getByText("Advanced").click();
  await panel.getByLabel("Blocks to quantize").selectOption("2");
  await panel.getByLabel("α is").selectOption({ label: "the best for each layer" });
  await expect(panel.getByLabel("QEP strength α")).toBeDisabled();
  await panel.getByLabel("Calibration windows").fill("4");
  await panel.getByLabel("Windows held out").fill("2");
  await panel.getByLabel("Rotate the model first").check();

  // Its beginning, 100, would be in range.
  const length = panel.getByLabel("Window length");
  await length.fill("");
  await length.pressSequentially("1000");
  await length.press("Tab");
  await expect(length).toHaveValue("128");
  await expect(panel).toContainText("“1000” is not taken. A whole number, 2 to 512.");

  const rules = panel.getByLabel("Rules for some layers");
  await rules.fill("down_proj: size=8");
  await expect(panel).toContainText("“size=8” is not one of method=, bits=, group=, type=, alpha=");
  await expect(button(page, "Run")).toBeDisabled();
  await rules.fill("z_proj: bits=8");
  await expect(panel).toContainText("“z_proj” matches no layer");
  await expect(button(page, "Run")).toBeDisabled();
  await rules.fill("down_proj: bits=8\nlayers.1.self_attn.v_proj: method=gptq, alpha=0.25");
  await expect(button(page, "Run")).toBeEnabled();
  await untilDone(page, "Run", "Done: RTN rotated 3-bit + QEP α per layer + 2 rules first 2 blocks");

  const layers = page.getByRole("table", { name: "Layers" });
  const row = (name: string) => layers.getByRole("row", { name: new RegExp(name.replaceAll(".", "\\.")) });
  const cells = async (name: string) => row(name).getByRole("cell").allTextContents();
  expect((await cells("layers.1.mlp.down_proj")).slice(2, 3)).toEqual(["8"]);
  expect((await cells("layers.1.self_attn.v_proj")).slice(2, 4)).toEqual(["3", "0.25"]);
  const chosen = new Set([...(await cells("layers.1.self_attn.q_proj")).slice(3, 4), ...(await cells("layers.1.mlp.up_proj")).slice(3, 4)]);
  expect(chosen.has("0.5")).toBe(false);
  await row("layers.1.self_attn.o_proj").getByRole("button").click();
  await expect(page.getByRole("region", { name: /Layer .*o_proj/ })).toContainText("on held-out windows");
  await expect(page.getByRole("region", { name: "Log" })).toContainText("Held-out windows chose α");
  expect(watch).toEqual({ outside: [], faults: [] });
});

test("an architecture that cannot be run is rounded, said so, and exported", async ({ page }) => {
  const watch = await openStudio(page);
  const config = (content: Buffer) =>
    Buffer.from(content.toString().replace("LlamaForCausalLM", "OtherForCausalLM").replace('"llama"', '"other"'));
  await page
    .locator("input[type=file]")
    .first()
    .setInputFiles(demoWith({ "config.json": config }));
  await expect(region(page)).toContainText("OtherForCausalLM cannot be run here, so nothing is calibrated: its 84 linear layers");
  const panel = recipe(page);
  await expect(panel.getByLabel("Method").getByRole("option")).toHaveText(["RTN (round to nearest)"]);
  await expect(panel.getByLabel("QEP strength α")).toHaveCount(0);
  await expect(button(page, "Run")).toBeEnabled();
  await untilDone(page, "Run", "Done: RTN 4-bit in");
  await expect(page.getByRole("figure", { name: "Error growth Δ_m" })).toContainText("cannot be run here, so there is no error to follow");
  for (const name of ["Measure perplexity", "Score tasks", "Add baseline run"]) await expect(button(page, name)).toBeDisabled();
  await expect(page.getByRole("region", { name: "Run", exact: true })).toContainText("Next: export");
  const downloading = page.waitForEvent("download");
  await button(page, "Download as zip").click();
  const files = unzip(readFileSync(await (await downloading).path()));
  const names = [...files.keys()].map((name) => name.split("/").at(-1));
  expect(names).toContain("config.json");
  const card = [...files].find(([name]) => name.endsWith("README.md"))![1].toString();
  expect(card).toContain("none: QEP Studio cannot run this architecture");
  expect(watch).toEqual({ outside: [], faults: [] });
});
