/** docs/benchmarks/real.json out of what was measured. A small run is only printed. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { dirname, join } from "node:path";
import { root, run } from "../proc.mjs";
import { steps } from "./cli.mjs";
import { commit } from "./facts.mjs";
import { rowsOf } from "./rows.mjs";

const intro = `SmolLM2-135M-Instruct (30 blocks, hidden 576, vocabulary 49,152, head tied), GPTQ 4-bit in groups of 64 with QEP α 0.5 in every layer, calibrated
and measured on windows of WikiText-2. The weights come from a 4-bit GGUF file, so they lie near a 4-bit grid and the perplexity after says that nothing breaks,
not how good 4 bits are. The short windows and the raw text make perplexity high. transformers computes in float32 on the same windows.`;

/** @param {import("./facts.mjs").Facts} facts @param {import("./settings.mjs").Size} size */
export async function report({ all }, size) {
  const now = commit();
  const rows = rowsOf(all, now);
  for (const { what, measured, met } of rows) console.log(`${what}: ${measured}${met === false ? " (missed)" : ""}`);
  if (size.name !== "whole") return;
  const adapter = all[steps.quantizing]?.value.adapter;
  const path = join(root, "docs", "benchmarks", "real.json");
  mkdirSync(dirname(path), { recursive: true });
  const page = {
    title: "A real model whole",
    order: 20,
    command: "npm run real",
    date: new Date().toISOString().slice(0, 10),
    commit: now,
    machine: [
      `${cpus().length} × ${cpus()[0]?.model.trim()}`,
      `${process.platform} ${process.arch}`,
      `Node ${process.versions.node}`,
      adapter,
    ]
      .filter(Boolean)
      .join(", "),
    intro: intro.replaceAll("\n", " "),
    rows,
  };
  writeFileSync(path, `${JSON.stringify(page, null, 2)}\n`);
  const renderer = join(root, "scripts", "benchmarks.mjs");
  if (existsSync(renderer)) await run(process.execPath, [renderer]);
}
