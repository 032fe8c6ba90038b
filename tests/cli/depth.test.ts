import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { npy } from "../support/npy";
import { safetensors, tinyConfig, tinyTensors, tinyTokens } from "../support/tiny";

const launcher = new URL("../../bin/qep-studio.mjs", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "qep-depth-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Large enough that one block's weights, or its codes, kept too long would show. */
const shape = { ...tinyConfig, hidden_size: 192, intermediate_size: 768, head_dim: 48, num_key_value_heads: 4, vocab_size: 512 };

/** As many blocks as wanted, copies of one: to make them takes longer than to quantize them. */
function deepTensors(config: typeof shape): ReturnType<typeof tinyTensors> {
  const tensors = new Map(tinyTensors({ ...config, num_hidden_layers: 1 }));
  for (const [name, { spec, bytes }] of [...tensors].filter(([name]) => name.includes(".layers.0.")))
    for (let m = 1; m < config.num_hidden_layers; m++) {
      const copy = name.replace(".layers.0.", `.layers.${m}.`);
      tensors.set(copy, { spec: { ...spec, name: copy }, bytes });
    }
  return tensors;
}

/** The most memory that the command ever held, in MB, as Linux counts it. */
async function peakOf(blocks: number): Promise<number> {
  const model = join(folder, `model-${blocks}`);
  mkdirSync(model);
  const config = { ...shape, num_hidden_layers: blocks };
  writeFileSync(join(model, "config.json"), JSON.stringify(config));
  writeFileSync(join(model, "model.safetensors"), safetensors(deepTensors(config)));
  const ids = join(folder, "ids.npy");
  writeFileSync(ids, npy(tinyTokens(2, 32, shape.vocab_size)));
  const out = join(folder, `out-${blocks}`);
  const options = ["--method", "rtn", "--alpha", "0", "--calibration", ids, "--window-length", "32", "--out", out];
  const child = spawn(process.execPath, [launcher, "quantize", model, ...options], {
    stdio: "ignore",
    // What V8 has not collected yet, and what malloc keeps for each thread, is no growth.
    env: { ...process.env, NODE_OPTIONS: "--max-semi-space-size=1 --max-old-space-size=96", MALLOC_ARENA_MAX: "1" },
  });
  let peak = 0;
  const timer = setInterval(() => {
    // Gone between two looks: the last one counts.
    const status = `/proc/${child.pid}/status`;
    if (existsSync(status)) peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, "utf8"))?.[1] ?? peak * 1024) / 1024;
  }, 20);
  const code = await new Promise((resolve) => child.on("exit", resolve));
  clearInterval(timer);
  expect(code).toBe(0);
  rmSync(model, { recursive: true });
  rmSync(out, { recursive: true });
  return peak;
}

test.runIf(process.platform === "linux")(
  "the command's peak memory does not grow with depth: 12 and 36 blocks within 5 %",
  { timeout: 600_000, retry: 1 },
  async () => {
    const peaks = [await peakOf(12), await peakOf(36)];
    console.log(`peaks: ${peaks.map((p) => p.toFixed(0)).join(", ")} MB`);
    // Only growth counts: a run may also collect late, and take more than one of a deeper model.
    expect(peaks[1] / peaks[0]).toBeLessThan(1.05);
  },
);
