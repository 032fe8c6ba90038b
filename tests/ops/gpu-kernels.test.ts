import { readdirSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { join } from "../../src/ops/gpu/join";
import { bindingsOf, kernels, shared } from "../../src/ops/gpu/kernels";
import { openGpuOps } from "../support/gpu";

const { device } = (await openGpuOps()).gpu;
const filesOf = (folder: string) =>
  new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith(".wgsl"))
      .map((name) => [name, readFileSync(`${folder}/${name}`, "utf8")]),
  );
const files = filesOf("shaders");
const pieces = filesOf("shaders/shared");
const everyFile = [...files, ...pieces];

/** WGSL's own words for what a file says is wrong. */
async function messages(code: string): Promise<string[]> {
  device.pushErrorScope("validation");
  const info = await device.createShaderModule({ code }).getCompilationInfo();
  const error = await device.popErrorScope();
  return [...info.messages.map((m) => m.message), ...(error ? [error.message] : [])];
}

it("every file of shaders/ is a kernel, and every one of shaders/shared/ a piece that some kernel uses", () => {
  const joined = [...files].map(([name, code]) => join(name, code, shared));
  expect(joined.sort()).toEqual(Object.values<string>(kernels).sort());
  expect(Object.fromEntries([...pieces].map(([name, code]) => [basename(name, ".wgsl"), code]))).toEqual(shared);
  for (const piece of pieces.values()) expect(joined.some((code) => code.includes(piece))).toBe(true);
});

describe.each([...files])("%s", (name, code) => {
  const joined = join(name, code, shared);

  it("compiles with what it uses, without a warning", async () => {
    expect(await messages(joined)).toEqual([]);
  });

  it("keeps to 8 storage buffers", () => {
    const bindings = bindingsOf(joined);
    expect(bindings.length).toBeGreaterThan(0);
    expect(bindings.length).toBeLessThanOrEqual(8);
    expect(bindings.includes("storage")).toBe(true);
  });
});

describe.each(everyFile)("%s", (name, code) => {
  it("begins with its name and formula", () => {
    expect(code.split("\n")[0]).toMatch(new RegExp(`^// ${name} - \\S.+`));
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

describe("shared pieces", () => {
  const among = { a: "// uses: b\nfn a() {}", b: "// uses: c, a\nfn b() {}", c: "fn c() {}" };

  it("come behind the kernel, each once, with what they use themselves", () => {
    expect(join("k", "// k\n// uses: a, c\nfn main() {}", among)).toBe(
      ["// k\n// uses: a, c\nfn main() {}", among.a, among.b, among.c].join("\n"),
    );
  });

  it("that are missing are named", () => {
    expect(() => join("k", "// uses: a, d", among)).toThrow("kernel k uses d, but there is no d.wgsl among the shared pieces of kernels");
    expect(() => join("k", "// uses: a", { a: "// uses: toString" })).toThrow("a.wgsl uses toString");
  });

  it("are the only place of a function or a long struct: none stands twice in shaders/", () => {
    const seen = new Map<string, string>();
    const twice: string[] = [];
    for (const [name, code] of everyFile)
      for (const [, what, body] of code.replace(/\s*\/\/.*/g, "").matchAll(/^((?:fn|struct) \w+)[^{]*(\{(?:[^\n]*\}$|[\s\S]*?\n\}))/gm)) {
        const text = body.replace(/\s+/g, " ");
        if (what.startsWith("struct") && text.length < 200) continue;
        if (seen.has(text)) twice.push(`${what} of ${name} is ${seen.get(text)}`);
        seen.set(text, `${what} of ${name}`);
      }
    expect(seen.size).toBeGreaterThan(50);
    expect(twice).toEqual([]);
  });
});
