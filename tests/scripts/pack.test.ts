import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { devNull, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { values } from "../../scripts/pack/check";
import { runChild } from "../../scripts/pack/child";
import { costRows } from "../../scripts/pack/cost";
import { wrongProduct } from "../../scripts/pack/matmul";
import { partsOf } from "../../scripts/pack/parts";
import { reportOf, slug, table } from "../../scripts/pack/report";
import { outcomeOf, type PartRun, runParts } from "../../scripts/pack/schedule";
import { logSlope } from "../../scripts/pack/timing";
import { fact, type Note, noTime } from "../../scripts/pack/types";
import { waysOf } from "../../scripts/pack/vulkan";
import { root } from "../support/tree";

const parts = partsOf(["gpu-matmul", "gpu-solve"]);
const finished: Note = { finished: true };
const ended = (...notes: Note[]): PartRun => ({ notes, ending: { kind: "ended", code: 0, signal: null } });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "qep-pack-test-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe("the time limit", () => {
  /** Runs all parts on a clock that only they move: each takes so many seconds, or is cut. */
  async function running(limit: number, takes: number) {
    let now = 5000;
    const names: string[] = [];
    const outcome = await runParts(parts, now + 1000 * limit, { now: () => now }, async ({ name, title }, until) => {
      names.push(name);
      const end = now + 1000 * takes;
      now = Math.min(end, until);
      const notes: Note[] = [{ row: fact(title, "fine") }, { doing: "its last step" }];
      return end > until ? { notes, ending: { kind: "cut" } } : ended(...notes, finished);
    });
    return { ...outcome, names, took: (now - 5000) / 1000 };
  }

  it("is not felt by what ends within it: every part in its order", async () => {
    const { rows, failures, names } = await running(360, 1);
    expect(names).toEqual(parts.map(({ name }) => name));
    expect(rows).toEqual(parts.map(({ title }) => fact(title, "fine")));
    expect(failures).toEqual([]);
  });

  it.each([1, 5, 20, 120, 360])("of %i s is kept if every part hangs, and what is cut or not begun is said", async (limit) => {
    const { rows, failures, names, took } = await running(limit, 1e6);
    expect(took).toBeLessThan(limit);
    for (const { name, title } of parts) {
      const row = rows.find(({ what }) => what === (names.includes(name) ? `${title}: the rest` : title))!;
      expect(row).toMatchObject({ measured: noTime, met: null });
      if (names.includes(name)) expect(row.why).toMatch(/^cut after \d+ s, in “its last step”$/);
    }
    // Being cut is no failure.
    expect(failures).toEqual([]);
    expect(names.length > 4).toBe(limit > 60);
  });

  it("leaves the last part all that is left", async () => {
    const limits: number[] = [];
    await runParts(parts, 100_000, { now: () => 0 }, async (_, until) => {
      limits.push(until);
      return ended(finished);
    });
    expect(limits.at(-1)).toBeGreaterThan(98_000);
    expect(Math.max(...limits.slice(0, -1))).toBeLessThanOrEqual(50_000);
  });
});

describe("a part that", () => {
  const [part] = parts;
  it("says what failed", () => {
    const { rows, failures } = outcomeOf(part, ended({ failed: "no device" }, finished), 1);
    expect(failures).toEqual(["adapter: no device"]);
    expect(rows).toEqual([{ what: "adapter", measured: "failed", goal: null, met: false, why: "no device" }]);
  });

  it("crashes has failed, and what it was at is named", () => {
    const crashed: PartRun = { notes: [{ doing: "a step" }], ending: { kind: "ended", code: null, signal: "SIGSEGV" } };
    expect(outcomeOf(part, crashed, 1).failures).toEqual(["adapter: its process was ended by SIGSEGV, in “a step”"]);
    expect(outcomeOf(part, { ...crashed, notes: [finished] }, 1).failures).toEqual([]);
  });
});

describe("a process", () => {
  const run = (code: string, until = Date.now() + 600_000) => {
    const notes = join(folder, "notes");
    const args = ["-e", `const note = (n) => require("fs").appendFileSync(${JSON.stringify(notes)}, n); ${code}`];
    return runChild({ command: process.execPath, args, cwd: folder, env: {}, notes, log: openSync(devNull, "w"), until });
  };

  it("leaves its whole notes when it is killed in the middle of one", async () => {
    const found = await run(`note('{"doing":"a"}\\n{"doi'); process.kill(process.pid, "SIGKILL")`);
    expect(found).toEqual({ notes: [{ doing: "a" }], ending: { kind: "ended", code: null, signal: "SIGKILL" } });
  });

  it("is killed when its time is over", async () => {
    expect(await run("setInterval(() => {}, 1000)", Date.now())).toEqual({ notes: [], ending: { kind: "cut" } });
  });
});

describe("the files", () => {
  const told = {
    card: { name: "NVIDIA H200 (x)", software: false, machine: "m" },
    seconds: 9,
    took: 8.4,
    date: "2026-01-02",
    commit: "abc",
  };
  const row = { what: "a|b", measured: "1\n2", goal: "≤ 2×", met: false, why: null };
  const report = reportOf({ ...told, failures: ["x: y"], rows: [row, fact("c", "3")] });

  it("are JSON of the benchmarks' format", () => {
    expect(Object.keys(report)).toEqual(["title", "order", "command", "date", "commit", "machine", "intro", "rows"]);
    for (const each of report.rows) expect(Object.keys(each)).toEqual(["what", "measured", "goal", "met", "why"]);
    expect(report).toMatchObject({ title: "On NVIDIA H200 (x)", command: "sh run.sh 9", date: "2026-01-02", rows: [row, { met: null }] });
    expect(slug(told.card.name)).toBe("nvidia-h200-x");
  });

  it("and a table of the same rows", () => {
    expect(table(report)).toContain("| a\\|b | 1 2 | ≤ 2× | **no** |  |\n| c | 3 |  |  |  |\n");
    expect(table(report)).toContain("1 failed");
  });
});

describe("Vulkan is started", () => {
  function ways(env: NodeJS.ProcessEnv, files: Record<string, string>) {
    const found = waysOf(env, "/scratch", {
      exists: (path) => path in files,
      list: (dir) => Object.keys(files).flatMap((path) => (path.startsWith(`${dir}/`) ? [path.slice(dir.length + 1)] : [])),
      write: (path, text) => void Object.assign(files, { [path]: text }),
    });
    return found.filter(({ withLibraries }) => !withLibraries).map(({ manifest }) => manifest);
  }
  const manifest = "/etc/vulkan/icd.d/nvidia_icd.x86_64.json";
  const library = "/usr/local/nvidia/lib64/libGLX_nvidia.so.0";

  it("by the driver that the environment names, then NVIDIA's manifest, then one for its library, then the loader's choice", () => {
    expect(ways({ VK_ICD_FILENAMES: "/a.json" }, { [manifest]: "" })).toEqual(["/a.json"]);
    expect(ways({}, { [manifest]: "", "/etc/vulkan/icd.d/lvp_icd.json": "" })).toEqual([manifest, null]);
    const files: Record<string, string> = { [library]: "" };
    expect(ways({}, files)).toEqual(["/scratch/nvidia_0_icd.json", null]);
    expect(JSON.parse(files["/scratch/nvidia_0_icd.json"]).ICD.library_path).toBe(library);
  });
});

describe("the measurements", () => {
  it("see one wrong entry, also the last", () => {
    const n = 8;
    const [a, b] = [values(1, [n, n]), values(2, [n, n])];
    const c = Float64Array.from({ length: n * n }, (_, i) =>
      Array.from({ length: n }, (_, k) => a[i - (i % n) + k] * b[k * n + (i % n)]).reduce((x, y) => x + y, 0),
    );
    expect(wrongProduct(a, b, n, c)).toBe(null);
    for (const at of [5, n * n - 1]) {
      const wrong = c.map((v, i) => (i === at ? v + 1e-3 : v));
      expect(wrongProduct(a, b, n, wrong)).toMatch(new RegExp(`^entry ${Math.floor(at / n)}, ${at % n} is `));
    }
    expect(wrongProduct(a, b, n, c.fill(Number.NaN))).not.toBe(null);
  });

  it("say what costs more than its goal", () => {
    const rows = costRows({ RTN: 1, "RTN + QEP": 2.5, GPTQ: 4, "GPTQ + QEP": 5 }, "s");
    expect(rows.map(({ measured, met }) => [measured, met])).toEqual([
      ["1.00 s", null],
      ["2.50 s, 2.50× RTN", false],
      ["4.00 s", null],
      ["5.00 s, 1.25× GPTQ", true],
    ]);
    expect(logSlope([1, 2, 4].map((x) => [x, 5 * x ** 3] as const))).toBeCloseTo(3, 12);
  });
});

test.skipIf(process.platform === "win32")("run.sh finds its folder and Node with the shell alone", () => {
  const pack = join(folder, "a pack");
  mkdirSync(join(pack, "bin"), { recursive: true });
  copyFileSync(join(root, "scripts/pack/run.sh"), join(pack, "run.sh"));
  const node = (text: string) => {
    writeFileSync(join(pack, "bin/node"), `#!/bin/sh\n${text}`);
    chmodSync(join(pack, "bin/node"), 0o755);
  };
  const start = () => spawnSync("/bin/sh", ["a pack/run.sh", "7", "out"], { cwd: folder, env: { PATH: "/nonexistent" }, encoding: "utf8" });
  const libraries = `${pack}/lib:/usr/local/nvidia/lib64:/usr/local/nvidia/lib`;
  node('[ "$1" = -e ] || echo "$LD_LIBRARY_PATH" "$@"; exit 5');
  // This Node does not start, as where C++'s libraries are missing.
  expect(start()).toMatchObject({ status: 5, stdout: `${libraries}:${pack}/lib/c++ ${pack}/tests/bundle/main.js 7 out\n` });
  node('[ "$1" = -e ] || { echo "$LD_LIBRARY_PATH"; exit 1; }');
  expect(start()).toMatchObject({ status: 1, stdout: `${libraries}\n`, stderr: "" });
});
