import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readyPython } from "../../scripts/python.mjs";
import { root } from "../support/tree";

const folder = mkdtempSync(join(tmpdir(), "qep-rounded-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const layers = { gemma2: 14, neox: 8, phi3: 8 };

function python(command: string): string {
  const { status, stdout, stderr } = spawnSync(readyPython()!, [`${root}tests/interop/rounded.py`, command, folder], { encoding: "utf8" });
  expect(status, stderr).toBe(0);
  return stdout;
}

beforeAll(() => {
  python("make");
}, 180_000);

test("architectures that cannot be run here load rounded, with every other tensor as it was", () => {
  for (const name of Object.keys(layers)) {
    const flags = ["--method", "rtn", "--alpha", "0", "--bits", "4", "--group-size", "32", "--cpu"];
    const args = [`${root}bin/qep-studio.mjs`, "quantize", join(folder, name), "--out", join(folder, `${name}-out`), ...flags];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("nothing is calibrated");
  }
  const reports = python("load")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  for (const { name, difference, changed, levels } of reports) {
    expect(changed, name).toBe(layers[name as keyof typeof layers]);
    expect(levels, name).toBeLessThanOrEqual(16);
    expect(difference, name).toBeGreaterThan(0.01);
    expect(difference, name).toBeLessThan(0.3);
  }
  expect(reports).toHaveLength(3);
}, 300_000);
