import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { demoFolder } from "../support/demo";
import { packableConfig } from "../support/exported";
import { npy } from "../support/npy";
import { safetensors, tinyTensors, tinyTokens } from "../support/tiny";

const root = new URL("../../", import.meta.url).pathname;
const folder = mkdtempSync(join(tmpdir(), "qep-verify-"));
const at = (...names: string[]) => join(folder, ...names);

/** Runs the built command line as a person would. */
const cli = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, "bin/qep-studio.mjs"), ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
};

beforeAll(() => {
  mkdirSync(at("model"));
  writeFileSync(at("model", "config.json"), JSON.stringify({ ...packableConfig, vocab_size: 1024, eos_token_id: 1 }));
  writeFileSync(at("model", "model.safetensors"), safetensors(tinyTensors({ ...packableConfig, vocab_size: 1024 })));
  for (const name of ["tokenizer.json", "tokenizer_config.json"]) copyFileSync(join(demoFolder, name), at("model", name));
  writeFileSync(at("ids.npy"), npy(tinyTokens(3, 10)));
  for (const format of ["gptq", "gguf", "onnx"])
    expect(
      cli(
        "quantize",
        at("model"),
        "--out",
        at(format),
        "--calibration",
        at("ids.npy"),
        "--cpu",
        "--format",
        format,
        "--sym",
        "--group-size",
        "32",
      ).status,
    ).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test.each(["gptq", "gguf", "onnx"])("a sound %s export, folder and file", (format) => {
  const { status, stdout, stderr } = cli("verify", at(format), "--against", at("model"), "--json");
  expect(stderr).toBe("");
  expect(status).toBe(0);
  const verification = JSON.parse(stdout);
  expect(verification).toMatchObject({ label: format, against: "model", passed: true });
  expect(verification.layers).toHaveLength(14);
  const file = { gptq: "model.safetensors", gguf: "model-Q4_0.gguf", onnx: "onnx/model_q4.onnx" }[format]!;
  expect(cli("verify", at(format, file)).stdout).toMatch(/are whole, and their values are finite\.\nThe files are sound\./);
});

test("a damaged file fails with a code of its own, and says what is wrong", () => {
  cpSync(at("gptq"), at("cut"), { recursive: true });
  writeFileSync(at("cut", "model.safetensors"), readFileSync(at("gptq", "model.safetensors")).subarray(0, -100));
  const { status, stdout } = cli("verify", at("cut"));
  expect(status).toBe(7);
  expect(stdout).toMatch(/ERROR .*shorter than its header says/);
  expect(stdout).toContain("The files are NOT sound.");
});

test("a wrong label is recognised beside the original, and the table says how far each layer is off", () => {
  cpSync(at("gptq"), at("mislabelled"), { recursive: true });
  const config = JSON.parse(readFileSync(at("gptq", "config.json"), "utf8"));
  Object.assign(config.quantization_config, { checkpoint_format: "gptq_v2", format: "gptq_v2" });
  writeFileSync(at("mislabelled", "config.json"), JSON.stringify(config));
  rmSync(at("mislabelled", "quantize_config.json"));
  const { status, stdout } = cli("verify", at("mislabelled"), "--against", at("model"));
  expect(status).toBe(7);
  expect(stdout).toMatch(/ERROR .* times nearer the original's with zeros as v1 has them/);
  expect(stdout).toMatch(/model\.layers\.1\.mlp\.down_proj +\d\.\d{3}e-?\d+ {2}GPTQ 4-bit, groups of 32, v2/);
});

test("what cannot be checked at all is an error as everywhere", () => {
  expect(cli("verify", at("nowhere")).status).toBe(3);
  expect(cli("verify").status).toBe(2);
  expect(cli("verify", at("gptq"), "--against", at("nowhere"))).toMatchObject({ status: 3, stdout: "" });
});
