import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bindingsOf, kernels } from "../../src/ops/gpu/kernels";
import { openGpuOps } from "../support/gpu";

const { device } = (await openGpuOps()).gpu;
const files = new Map(readdirSync("shaders").map((name) => [name, readFileSync(`shaders/${name}`, "utf8")]));

/** WGSL's own words for what a file says is wrong. */
async function messages(code: string): Promise<string[]> {
  device.pushErrorScope("validation");
  const info = await device.createShaderModule({ code }).getCompilationInfo();
  const error = await device.popErrorScope();
  return [...info.messages.map((m) => m.message), ...(error ? [error.message] : [])];
}

it("every file of shaders/ is a kernel", () => {
  expect([...files.values()].sort()).toEqual(Object.values<string>(kernels).sort());
});

describe.each([...files])("%s", (name, code) => {
  it("compiles alone, without a warning", async () => {
    expect(await messages(code)).toEqual([]);
  });

  it("begins with its name and formula, and keeps to 8 storage buffers", () => {
    expect(code.split("\n")[0]).toMatch(new RegExp(`^// ${name} - \\S.+`));
    const bindings = bindingsOf(code);
    expect(bindings.length).toBeGreaterThan(0);
    expect(bindings.length).toBeLessThanOrEqual(8);
    expect(bindings.includes("storage")).toBe(true);
  });

  it("gives every override a default and its legal range", () => {
    for (const line of code.split("\n").filter((l) => l.startsWith("override")))
      expect(line).toMatch(/^override \w+: (u32|bool) = \w+;( \/\/ .+)?$/);
    for (const line of code.split("\n").filter((l) => l.startsWith("override") && l.includes("u32"))) expect(line).toContain("//");
  });
});

it("a kernel that does not compile is noticed", async () => {
  expect(await messages("@compute fn main() {}")).not.toEqual([]);
});
