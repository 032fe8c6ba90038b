/** The pack's bundle: the project's own tests, run by vitest's runner without vitest's workers. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bundle } from "../../scripts/pack/assemble.mjs";
import type { Note } from "../../scripts/pack/types";

const folder = mkdtempSync(join(tmpdir(), "qep-pack-bundle-"));
const modules = join(folder, "tests/bundle");
let packages: string[];
beforeAll(async () => {
  writeFileSync(join(folder, "package.json"), '{"type":"module"}');
  packages = await bundle(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a part that needs no GPU, and gives its notes without what it was doing. */
function notesOf(name: string): Note[] {
  const notes = join(folder, "notes");
  rmSync(notes, { force: true });
  const env = { ...process.env, QEP_PACK_NOTES: notes, QEP_PACK_UNTIL: "0", QEP_PACK_SOFTWARE: "1" };
  const { status, stderr } = spawnSync(process.execPath, [join(modules, "part.js"), name], { cwd: folder, env, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const lines = readFileSync(notes, "utf8").trim().split("\n");
  return lines.map((line): Note => JSON.parse(line)).filter((note) => !("doing" in note));
}

test("runs a test file, and sees one of its tests fail", () => {
  const row = { what: "kernel tests bits", goal: "all" };
  expect(notesOf("tests/bits")).toMatchObject([{ row: { ...row, measured: "9 of 9 passed", met: true } }, { finished: true }]);

  const file = join(modules, readdirSync(modules).find((name) => /^bits\.test-.*\.js$/.test(name))!);
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace("toHaveLength(3)", "toHaveLength(4)"));
  expect(notesOf("tests/bits")).toMatchObject([
    { failed: expect.stringMatching(/^three bits: .*expected .* to have a length of 4/) },
    { row: { ...row, measured: "8 of 9 passed", met: false } },
    { finished: true },
  ]);

  writeFileSync(file, `throw new Error("at the top");\n${text}`);
  expect(notesOf("tests/bits")).toMatchObject([
    { failed: "at the top" },
    { row: { ...row, measured: "0 of 0 passed", met: false } },
    { finished: true },
  ]);
});

test("has vitest's runner and judgement in it, which are to be named with their licences", () => {
  expect(packages).toEqual(expect.arrayContaining(["@vitest/expect", "@vitest/runner", "chai", "vitest"]));
});
