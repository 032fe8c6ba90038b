import { spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Ajv from "ajv";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodePlatform, runFolder } from "../../src/cli/platform";
import { Engine } from "../../src/engine/engine";
import { bytesFile } from "../../src/io/memory";
import { folderSource } from "../../src/io/node";
import { defaultRecipe } from "../../src/recipe/recipe";
import { demoFolder } from "../support/demo";
import { npy } from "../support/npy";

import { safetensors, tinyConfig, tinyTensors, tinyTokens } from "../support/tiny";

const root = new URL("../../", import.meta.url).pathname;
const launcher = join(root, "bin/qep-studio.mjs");
const folder = mkdtempSync(join(tmpdir(), "qep-cli-"));
const model = join(folder, "tiny");
const at = (name: string) => join(folder, name);

/** Runs the built command line as a person would. */
const cli = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { encoding: "utf8" });
  return { status, stdout, stderr };
};

beforeAll(() => {
  mkdirSync(model);
  writeFileSync(join(model, "config.json"), JSON.stringify(tinyConfig));
  writeFileSync(join(model, "model.safetensors"), safetensors(tinyTensors()));
  writeFileSync(at("ids.npy"), npy(tinyTokens(3, 10)));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const quantize = (...more: string[]) => cli("quantize", model, "--cpu", "--calibration", at("ids.npy"), "--bits", "3", ...more);

describe("quantize", () => {
  test("writes a checkpoint, and a report that fits its schema", () => {
    const { status, stdout, stderr } = quantize("--out", at("out"), "--report", at("report.json"), "--group-size", "-1");
    expect(stderr).toContain("Done");
    expect(stdout).toBe("");
    expect(status).toBe(0);
    expect(readdirSync(at("out")).sort()).toEqual(["README.md", "certificate.json", "config.json", "model.safetensors", "recipe.json"]);
    const report = JSON.parse(readFileSync(at("report.json"), "utf8"));
    const validate = new Ajv().compile(JSON.parse(readFileSync(join(root, "docs/report.schema.json"), "utf8")));
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(report.blocks).toHaveLength(3);
    expect(report.layers).toHaveLength(21);
  });

  test("from the recipe that it wrote gives the same bytes", () => {
    expect(quantize("--out", at("a"), "--rule", "down_proj: alpha=0.25").status).toBe(0);
    expect(
      cli("quantize", model, "--cpu", "--calibration", at("ids.npy"), "--recipe", join(at("a"), "recipe.json"), "--out", at("b")).status,
    ).toBe(0);
    expect(readFileSync(join(at("b"), "model.safetensors")).equals(readFileSync(join(at("a"), "model.safetensors")))).toBe(true);
  });

  test("says that a GGUF type alone gives a dense file", () => {
    const { stderr } = cli("quantize", model, "--cpu", "--calibration", at("ids.npy"), "--type", "Q4_K_M", "--out", at("typed"));
    expect(stderr).toContain("rounded on the grid of Q4_K_M and written dense");
  });

  test("refuses a folder that is not empty, and the model's own, unless forced", () => {
    mkdirSync(at("full"));
    writeFileSync(join(at("full"), "mine.txt"), "keep");
    const refused = quantize("--out", at("full"));
    expect(refused).toMatchObject({ status: 6, stderr: expect.stringContaining("not empty") });
    expect(readFileSync(join(at("full"), "mine.txt"), "utf8")).toBe("keep");
    expect(quantize("--out", model, "--force")).toMatchObject({ status: 6, stderr: expect.stringContaining("model folder") });
    expect(quantize("--out", at("full"), "--force").status).toBe(0);
    expect(existsSync(join(at("full"), "model.safetensors"))).toBe(true);
  });

  test("a run that is in the way is neither mixed in nor lost, and --force begins anew", async () => {
    const out = at("forced");
    const platform = nodePlatform(true, runFolder(out));
    const engine = new Engine(platform);
    await engine.open(await folderSource(model));
    const text = { file: bytesFile("ids.npy", npy(tinyTokens(3, 10))) };
    await engine.run({ id: "run", recipe: defaultRecipe, text }, () => {}, new AbortController().signal);
    await engine.close();
    await platform.close();
    expect(quantize("--out", out)).toMatchObject({ status: 6, stderr: expect.stringContaining("3 of its 3 blocks are done") });
    expect(quantize("--out", out, "--resume", "--force")).toMatchObject({ status: 6, stderr: expect.stringContaining("differs in bits") });
    const forced = quantize("--out", out, "--force");
    expect(forced).toMatchObject({ status: 0, stderr: expect.not.stringContaining("done already") });
    expect(existsSync(at(".forced.run"))).toBe(false);
  });

  const demoRun = (out: string, ...more: string[]) => [
    launcher,
    ...["quantize", demoFolder, "--cpu", "--method", "rtn", "--calibration", join(root, "tests/fixtures/demo/calibration.npy")],
    ...["--windows", "2", "--window-length", "32", "--blocks", "3", "--out", at(out), ...more],
  ];

  /** Sends the signal once that many blocks are told; gives the exit status and what was said. */
  async function stopped(args: string[], signal: NodeJS.Signals, blocks: number) {
    const child = spawn(process.execPath, args);
    let stderr = "";
    child.stderr.on("data", (d) => {
      stderr += d;
      if (String(d).includes(`block   ${blocks}`)) child.kill(signal);
    });
    const status = await new Promise((resolve) => child.on("exit", resolve));
    return { status, stderr };
  }

  test("while another process is at work on the same output it is refused, and touches nothing of it", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 600_000)"]);
    mkdirSync(join(at(".busy.run"), "export"), { recursive: true });
    writeFileSync(join(at(".busy.run"), "lock"), String(other.pid));
    writeFileSync(join(at(".busy.run"), "export", "model.safetensors"), "half");
    for (const more of [[], ["--force"], ["--resume"]])
      expect(quantize("--out", at("busy"), ...more)).toMatchObject({
        status: 6,
        stderr: expect.stringContaining(`process ${other.pid} is working on it`),
      });
    expect(readFileSync(join(at(".busy.run"), "export", "model.safetensors"), "utf8")).toBe("half");
    const gone = new Promise((resolve) => other.on("exit", resolve));
    other.kill("SIGKILL");
    await gone;
    expect(quantize("--out", at("busy")).status).toBe(0);
    expect(readdirSync(folder).filter((name) => name.includes("busy"))).toEqual(["busy"]);
  });

  test("stopped by Ctrl-C or killed, it leaves nothing that a client would load, and --resume goes on to the same bytes", async () => {
    const whole = spawnSync(process.execPath, demoRun("whole"), { encoding: "utf8" });
    expect(whole.status).toBe(0);
    const interrupted = await stopped(demoRun("stopped"), "SIGINT", 2);
    expect(interrupted.status).toBe(130);
    expect(interrupted.stderr).toMatch(/\d of 12 blocks are done and kept: the same command with --resume goes on with block \d/);
    expect(interrupted.stderr).toContain("Cancelled.");
    expect(readdirSync(folder).filter((name) => name.includes("stopped"))).toEqual([".stopped.run"]);
    // Not silently from the start, not silently another run.
    expect(spawnSync(process.execPath, demoRun("stopped"), { encoding: "utf8" })).toMatchObject({
      status: 6,
      stderr: expect.stringMatching(/interrupted run is in the way: \d of its 12 blocks are done\. Go on with it \(--resume\)/),
    });
    const other = spawnSync(process.execPath, demoRun("stopped", "--resume", "--bits", "3"), { encoding: "utf8" });
    expect(other).toMatchObject({ status: 6, stderr: expect.stringContaining("the recipe differs in bits") });
    expect((await stopped(demoRun("stopped", "--resume"), "SIGKILL", 6)).status).toBe(null);
    expect(existsSync(at("stopped"))).toBe(false);
    const resumed = spawnSync(process.execPath, demoRun("stopped", "--resume"), { encoding: "utf8" });
    expect(resumed.stderr).toMatch(/\d+ of 12 blocks are done already/);
    expect(resumed.status).toBe(0);
    for (const name of ["model.safetensors", "config.json", "recipe.json", "README.md", "certificate.json"])
      expect(readFileSync(join(at("stopped"), name)).equals(readFileSync(join(at("whole"), name))), name).toBe(true);
    expect(readdirSync(folder).filter((name) => name.startsWith(".stopped"))).toEqual([]);
  });
});

describe("an output folder that is there", () => {
  test("is worked in, since it may be a mount point, and gets the files at the end", () => {
    mkdirSync(at("mounted"));
    const { ino } = statSync(at("mounted"));
    expect(quantize("--out", at("mounted"), "--windows", "9").status).toBe(4);
    expect(readdirSync(at("mounted"))).toEqual([]);
    expect(runFolder(at("mounted"))).toBe(join(at("mounted"), ".run"));
    expect(quantize("--out", at("mounted")).status).toBe(0);
    expect(readdirSync(at("mounted")).sort()).toEqual(["README.md", "certificate.json", "config.json", "model.safetensors", "recipe.json"]);
    expect(statSync(at("mounted")).ino).toBe(ino);
  });

  test("goes on with a run that was kept beside it before it was there", () => {
    mkdirSync(at(".later.run"));
    mkdirSync(at("later"));
    expect(runFolder(at("later"))).toBe(at(".later.run"));
    expect(quantize("--out", at("later"), "--resume").status).toBe(0);
    expect(readdirSync(folder).filter((name) => name.includes("later"))).toEqual(["later"]);
  });
});

describe("inspect and evaluate", () => {
  test("--json prints exactly one object", () => {
    const inspected = cli("inspect", model, "--json");
    expect(JSON.parse(inspected.stdout)).toMatchObject({ architecture: "LlamaForCausalLM", blocks: 3 });
    const evaluated = cli("evaluate", model, "--tokens", at("ids.npy"), "--json", "--cpu");
    expect(JSON.parse(evaluated.stdout)).toMatchObject({ tokens: 30, windows: 3, perplexity: expect.any(Number) });
    expect(evaluated.stdout.trim().split("\n")).toHaveLength(1);
  });

  test("--against sets a packed checkpoint beside its original: in words, and in one object", () => {
    expect(quantize("--out", at("packed"), "--format", "compressed-tensors").status).toBe(0);
    const against = (folder: string, ...more: string[]) =>
      cli("evaluate", folder, "--tokens", at("ids.npy"), "--against", model, "--cpu", ...more);
    const { stdout, status } = against(at("packed"));
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^perplexity [\d.]+ over 3 windows of 10 \(30 tokens\), [\d.]+ for the original: [+−][\d.]+ ± [\d.]+ %\nKL divergence 0\.\d+ ± 0\.\d+ nats per token \(median .*\)\nsame top token [\d.]+ ± [\d.]+ %\n$/,
    );
    const measured = JSON.parse(against(at("packed"), "--json").stdout);
    const alone = (folder: string) => JSON.parse(cli("evaluate", folder, "--tokens", at("ids.npy"), "--json", "--cpu").stdout);
    expect(measured.perplexity).toBeCloseTo(alone(at("packed")).perplexity, 8);
    expect(measured.perplexityBefore).toBeCloseTo(alone(model).perplexity, 8);
    const { kl, sameTop, lossRise } = measured.divergence;
    expect(kl.mean).toBeGreaterThan(1e-3);
    expect(kl.mean).toBeLessThan(kl.p99);
    expect(kl.p99).toBeLessThanOrEqual(kl.max);
    expect(sameTop.mean).toBeLessThan(1);
    expect(Math.exp(lossRise.mean)).toBeCloseTo(measured.perplexity / measured.perplexityBefore, 8);
    const same = JSON.parse(against(model, "--json").stdout);
    expect([same.divergence.kl.max, same.divergence.sameTop.mean, same.perplexity]).toEqual([0, 1, same.perplexityBefore]);
  });

  test("text goes through the demo's tokenizer", () => {
    const text = join(root, "public/demo/evaluation.jsonl");
    const { status, stdout } = cli("evaluate", demoFolder, "--text", text, "--windows", "1", "--window-length", "32", "--json", "--cpu");
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ tokens: 32, windows: 1 });
  });
});

describe("bad input gets one sentence and its exit code", () => {
  const truncated = at("truncated");
  beforeAll(() => {
    cpSync(model, truncated, { recursive: true });
    truncateSync(join(truncated, "model.safetensors"), 5000);
    writeFileSync(at("broken.json"), "{");
    writeFileSync(at("caption.jsonl"), '{"caption":"One."}');
    writeFileSync(at("no.zip"), "this is not one, whatever it is called");
    cpSync(demoFolder, at("endless"), { recursive: true });
    const tokenizer = JSON.parse(readFileSync(join(demoFolder, "tokenizer.json"), "utf8"));
    tokenizer.pre_tokenizer = { type: "Split", pattern: { Regex: "(x+x+)+y" }, behavior: "Isolated", invert: false };
    writeFileSync(join(at("endless"), "tokenizer.json"), JSON.stringify(tokenizer));
    writeFileSync(at("x.txt"), "x".repeat(60));
    const foot = Buffer.from([20, 0, 0, 0]);
    writeFileSync(at("broken.parquet"), Buffer.concat([Buffer.from("PAR1"), Buffer.alloc(100), foot, Buffer.from("PAR1")]));
  });

  test.each<[string, () => ReturnType<typeof cli>, number, RegExp]>([
    ["an unknown command", () => cli("melt"), 2, /"melt" is not a command/],
    ["an unknown option", () => cli("inspect", model, "--colour"), 2, /colour/],
    ["no output folder", () => cli("quantize", model), 2, /--out is missing/],
    ["no calibration", () => cli("quantize", model, "--out", at("x")), 2, /--calibration is missing/],
    ["an impossible number", () => quantize("--out", at("x"), "--alpha", "much"), 2, /--alpha is "much"/],
    ["bits that do not exist", () => quantize("--out", at("x"), "--bits", "5"), 2, /--bits is "5"; it must be one of 2, 3, 4, 8/],
    [
      "a group size that does not fit",
      () => quantize("--out", at("x"), "--group-size", "64"),
      2,
      /64 does not divide the 24 inputs of q_proj/,
    ],
    ["a rule that no text can mean", () => quantize("--out", at("x"), "--rule", "o_proj"), 2, /not of the form/],
    ["a layer kind that does not exist", () => quantize("--out", at("x"), "--rule", "z_proj: bits=8"), 2, /z_proj/],
    ["a folder that is not there", () => cli("inspect", at("nowhere")), 3, /missing/],
    ["a truncated shard", () => cli("inspect", truncated), 3, /shorter than its header says: model\.safetensors/],
    ["too many windows", () => quantize("--out", at("x"), "--windows", "9"), 4, /9 are asked for/],
    ["a recipe that is no JSON", () => quantize("--out", at("x"), "--recipe", at("broken.json")), 2, /not valid JSON: broken\.json/],
    ["a text that is not there", () => cli("evaluate", model, "--text", at("nowhere.txt"), "--cpu"), 4, /missing: .*nowhere\.txt/],
    [
      "a text without a field that is known",
      () => cli("evaluate", demoFolder, "--text", at("caption.jsonl"), "--cpu"),
      4,
      /its fields are caption/,
    ],
    [
      "another model as the original",
      () => cli("evaluate", model, "--tokens", at("ids.npy"), "--against", demoFolder, "--cpu"),
      3,
      /do not have the same tokens: tiny has 50 tokens and model \d+/,
    ],
    [
      "an original that is damaged",
      () => cli("evaluate", model, "--tokens", at("ids.npy"), "--against", truncated, "--cpu"),
      3,
      /shorter than its header says: truncated: model\.safetensors/,
    ],
    ...[
      ["--windows", "0"],
      ["--windows", "-1"],
      ["--windows", "1.5"],
      ["--window-length", "1"],
    ].map(([option, value]): [string, () => ReturnType<typeof cli>, number, RegExp] => [
      `${option} ${value}`,
      () => cli("evaluate", model, "--tokens", at("ids.npy"), option, value, "--cpu"),
      2,
      new RegExp(`${option} is "${value}". Give a whole number, at least`),
    ]),
    ["no whole number of questions", () => cli("tasks", demoFolder, "--tasks", at("x.csv"), "--limit", "2.5"), 2, /--limit is "2.5"/],
    ["a report's folder that is not there", () => quantize("--out", at("x"), "--report", at("nowhere/r.json")), 6, /nowhere\/r\.json/],
    ["an output below a file", () => quantize("--out", at("x.txt/sub")), 6, /x\.txt is a file, not a folder\. Give another output folder/],
    ["an output where no folder can be made", () => quantize("--out", "/proc/nowhere"), 6, /could not be written: \/proc\/\.nowhere/],
    ["an output that is a file", () => quantize("--out", at("x.txt")), 6, /x\.txt is a file/],
    [
      "a file that is no checkpoint",
      () => cli("verify", at("x.txt")),
      3,
      /x\.txt is no checkpoint file\. Give a \.safetensors, \.gguf, \.onnx or/,
    ],
    [
      "a parquet file with a broken foot",
      () => cli("evaluate", demoFolder, "--text", at("broken.parquet"), "--cpu"),
      4,
      /^This text cannot be read: broken\.parquet is a damaged or incomplete parquet file\. Download it again\.$/m,
    ],
    ["a file that is no zip", () => cli("verify", at("no.zip")), 3, /cannot be read: no\.zip is not a zip/],
    [
      "a tokenizer that would never end",
      () => cli("evaluate", at("endless"), "--text", at("x.txt"), "--cpu"),
      4,
      /tokenizer\.json takes longer than 10 s for 60 characters/,
    ],
    ["text without a tokenizer", () => cli("evaluate", model, "--text", join(model, "config.json"), "--cpu"), 3, /tokenizer\.json/],
  ])("%s", (_, call, status, words) => {
    const got = call();
    expect(got.stderr).toMatch(words);
    expect(got.stderr).not.toMatch(/\n\s+at /);
    expect(got.stdout).toBe("");
    expect(got.status).toBe(status);
    expect(existsSync(at("x"))).toBe(false);
  });
});

describe("tasks", () => {
  const fixture = readFileSync(join(root, "tests/fixtures/arc.parquet"));

  test("reads parquet", () => {
    writeFileSync(at("arc.parquet"), fixture);
    const { status, stdout } = cli("tasks", demoFolder, "--cpu", "--tasks", at("arc.parquet"), "--json");
    expect(status).toBe(0);
    expect(JSON.parse(stdout).scores.map((s: { kind: string; questions: number }) => [s.kind, s.questions])).toEqual([
      ["arc", 2],
      ["all", 2],
    ]);
  });

  test("gives up a damaged parquet file that would never end", () => {
    const endless = Buffer.from(fixture);
    endless[518] = 1; // a list of −1 children
    writeFileSync(at("endless.parquet"), endless);
    const { status, stderr } = cli("tasks", demoFolder, "--tasks", at("endless.parquet"));
    expect(stderr).toContain("This file cannot be read: endless.parquet took longer than 10 s to read. It may be damaged");
    expect(status).toBe(4);
  });
});
