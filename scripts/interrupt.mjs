/** `npm run interrupt`: Ctrl-C at random moments of opening, tokenizing, running and exporting; each must end the command within a second and leave nothing but the hidden folder that --resume needs. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { gpuEnvironment } from "./find.mjs";
import { isMain, root, Stop, script } from "./proc.mjs";

const demo = join(root, "public", "demo");
const moments = 10;
const limitMs = 1000;

/**
 * Runs the command line; `after` ms later it gets SIGINT, null: never.
 * @param {string[]} args
 * @param {number | null} after
 * @returns {Promise<{ code: number | null, ms: number, answered: number }>}
 */
function start(args, after) {
  return new Promise((resolve) => {
    const began = performance.now();
    let asked = Number.NaN;
    const child = spawn(process.execPath, [join(root, "bin", "qep-studio.mjs"), ...args], {
      env: { ...process.env, ...gpuEnvironment() },
      stdio: "ignore",
    });
    const interrupt = () => {
      asked = performance.now();
      child.kill("SIGINT");
    };
    const timer = after === null ? undefined : setTimeout(interrupt, after);
    child.on("exit", (status, signal) => {
      clearTimeout(timer);
      // A shell tells both as 130.
      const code = signal === "SIGINT" ? 130 : status;
      resolve({ code, ms: performance.now() - began, answered: performance.now() - asked });
    });
  });
}

/** The demo's text many times over, as one document. @param {string} file @param {number} bytes */
function longText(file, bytes) {
  const lines = readFileSync(join(demo, "calibration.jsonl"), "utf8").trim().split("\n");
  const text = `${lines.map((line) => JSON.parse(line).text).join(" ")} `;
  writeFileSync(file, text.repeat(Math.ceil(bytes / text.length)));
}

if (isMain(import.meta))
  await script(async () => {
    await build("cli", { ifStale: true, quiet: true });
    const folder = mkdtempSync(join(tmpdir(), "qep-interrupt-"));
    const text = join(folder, "long.txt");
    longText(text, 30e6);
    const model = join(demo, "model");
    const quantize = (/** @type {string[]} */ ...more) => [
      "quantize",
      model,
      "--out",
      join(folder, "out"),
      "--force",
      "--method",
      "gptq",
      "--bits",
      "4",
      ...more,
    ];
    const works = {
      "opening, running, exporting": quantize(
        "--calibration",
        join(demo, "calibration.jsonl"),
        "--windows",
        "16",
        "--window-length",
        "128",
      ),
      "tokenizing 30 MB": ["evaluate", model, "--text", text, "--cpu"],
    };
    let failures = 0;
    try {
      for (const [name, args] of Object.entries(works)) {
        const whole = name.startsWith("tokenizing") ? 8000 : (await start(args, null)).ms;
        rmSync(join(folder, "out"), { recursive: true, force: true });
        for (let i = 0; i < moments; i++) {
          const after = 50 + Math.random() * (whole - 100);
          const { code, answered } = await start(args, after);
          const left = readdirSync(folder).filter((entry) => !["long.txt", ".out.run"].includes(entry) && (code !== 0 || entry !== "out"));
          const good = (code === 130 && answered < limitMs && !left.length) || code === 0;
          if (!good) failures++;
          console.log(
            `${name}: after ${(after / 1000).toFixed(2)} s of ${(whole / 1000).toFixed(1)} s: exit ${code} ${Number.isFinite(answered) ? `${answered.toFixed(0)} ms later` : "before"}${left.length ? `, left ${left}` : ""}${good ? "" : "  FAILED"}`,
          );
          rmSync(join(folder, "out"), { recursive: true, force: true });
        }
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    if (failures) throw new Stop(`${failures} of ${2 * moments} interrupts failed.`);
  });
