import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { demoFolder } from "../support/demo";
import { checkDense } from "../support/python";
import { root } from "../support/tree";

const folder = mkdtempSync(join(tmpdir(), "qep-dense-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const npy = (name: string) => join(root, "tests/fixtures/demo", `${name}.npy`);
const cli = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "bin/qep-studio.mjs"), ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return stdout;
};

test("the dense export of the demo loads whole in transformers, with our perplexity", () => {
  const out = join(folder, "rtn-3-qep");
  cli("quantize", demoFolder, "--out", out, "--bits", "3", "--calibration", npy("calibration"));
  const ours = JSON.parse(cli("evaluate", out, "--tokens", npy("evaluation"), "--json")).perplexity;
  const theirs = checkDense(out, npy("evaluation"));
  expect(theirs).toMatchObject({ exit: 0, logits_finite: true });
  expect(Math.abs(theirs.perplexity! / ours - 1)).toBeLessThan(1e-4);
});
