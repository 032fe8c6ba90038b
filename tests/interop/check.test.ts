import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkDense } from "../support/python";
import { readText, root } from "../support/tree";

const demo = `${root}public/demo/model`;
const tokens = `${root}tests/fixtures/demo/evaluation.npy`;
const second = "model-00002-of-00002.safetensors";

describe("the check with real Python clients", () => {
  let copy: string;
  beforeAll(() => {
    copy = mkdtempSync(join(tmpdir(), "qep-check-"));
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it("finds the oracle's perplexity for the untouched demo", () => {
    const { recipes } = JSON.parse(readText("tests/fixtures/oracle/figures.json"));
    const report = checkDense(demo, tokens);
    expect(report).toMatchObject({ exit: 0, files: 2, dtypes: ["bfloat16"], logits_finite: true });
    expect(report.perplexity).toBeCloseTo(recipes["rtn-4"].perplexityBefore, 3);
  });

  it("sees a tensor that the model needs and nobody wrote", () => {
    cpSync(demo, copy, { recursive: true });
    const path = join(copy, second);
    // A name of the same length keeps the offsets right.
    const bytes = Buffer.from(readFileSync(path).toString("latin1").replace('"model.norm.weight"', '"model.nurm.weight"'), "latin1");
    writeFileSync(path, bytes);
    const index = join(copy, "model.safetensors.index.json");
    writeFileSync(index, readFileSync(index, "utf8").replace('"model.norm.weight"', '"model.nurm.weight"'));
    const report = checkDense(copy, tokens);
    expect(report.exit).toBe(3);
    expect(report.message).toContain("model.norm.weight");
  });

  it("sees an index that points to the wrong file", () => {
    cpSync(demo, copy, { recursive: true });
    const index = join(copy, "model.safetensors.index.json");
    const content = JSON.parse(readFileSync(index, "utf8"));
    content.weight_map["model.norm.weight"] = "model-00001-of-00002.safetensors";
    writeFileSync(index, JSON.stringify(content));
    expect(checkDense(copy, tokens).exit).toBe(3);
  });

  it("sees a file that was cut off", () => {
    cpSync(demo, copy, { recursive: true });
    truncateSync(join(copy, second), 700_000);
    expect(checkDense(copy, tokens).exit).toBe(2);
  });
});
