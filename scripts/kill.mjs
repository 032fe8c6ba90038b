/**
 * `npm run kill`: the command line is killed (SIGKILL) at twenty random moments, resumed after each, and must come to the bytes of a run that nothing
 * disturbed. After a kill nothing is there that a client would load.
 */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "./build.mjs";
import { gpuEnvironment } from "./find.mjs";
import { isMain, root, Stop, script } from "./proc.mjs";

const kills = 20;
const demo = join(root, "public", "demo");

/**
 * @param {string[]} args
 * @param {number | null} after milliseconds; null: never
 * @returns {Promise<{ killed: boolean, code: number | null, ms: number }>}
 */
function run(args, after) {
  return new Promise((resolve) => {
    const began = performance.now();
    const child = spawn(process.execPath, [join(root, "bin", "qep-studio.mjs"), ...args], {
      env: { ...process.env, ...gpuEnvironment() },
      stdio: "ignore",
    });
    const timer = after === null ? undefined : setTimeout(() => child.kill("SIGKILL"), after);
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve({ killed: signal === "SIGKILL", code, ms: performance.now() - began });
    });
  });
}

/** Names and SHA-256 of a folder's files. @param {string} folder */
const digests = (folder) =>
  readdirSync(folder)
    .sort()
    .map(
      (name) =>
        `${name} ${createHash("sha256")
          .update(readFileSync(join(folder, name)))
          .digest("hex")}`,
    )
    .join("\n");

if (isMain(import.meta))
  await script(async () => {
    await build("cli", { ifStale: true, quiet: true });
    const folder = mkdtempSync(join(tmpdir(), "qep-kill-"));
    const text = join(demo, "calibration.jsonl");
    const quantize = (/** @type {string} */ out, /** @type {string[]} */ ...more) => [
      ...["quantize", join(demo, "model"), "--calibration", text, "--windows", "8", "--window-length", "128"],
      ...["--method", "gptq", "--bits", "4", "--group-size", "32", "--sym", "--format", "gptq", "--out", join(folder, out), ...more],
    ];
    try {
      const whole = await run(quantize("whole"), null);
      if (whole.code !== 0) throw new Stop(`The undisturbed run ended with ${whole.code}.`);
      const want = digests(join(folder, "whole"));
      let killedTimes = 0;
      for (let n = 0, resumes = 0; n < kills; n++, resumes++) {
        const { killed, code } = await run(quantize("out", "--resume"), Math.random() * whole.ms * 0.6);
        if (killed && existsSync(join(folder, "out"))) throw new Stop(`After kill ${n + 1} there is an output folder.`);
        if (!killed && code !== 0) throw new Stop(`A run that was not killed ended with ${code}.`);
        if (killed) killedTimes++;
        if (killed && n < kills - 1) continue;
        if (killed) {
          const last = await run(quantize("out", "--resume"), null);
          if (last.code !== 0) throw new Stop(`The resumed run ended with ${last.code}.`);
        }
        if (digests(join(folder, "out")) !== want) throw new Stop(`After ${resumes} resumes the bytes are others.`);
        console.log(`${n + 1} of ${kills} tries: the same bytes after ${resumes} resumes`);
        rmSync(join(folder, "out"), { recursive: true });
        resumes = -1;
      }
      const left = readdirSync(folder).filter((name) => name !== "whole");
      if (left.length) throw new Stop(`${left.join(", ")} is left.`);
      console.log(`${killedTimes} kills at random moments: every run was resumed to the same bytes, and nothing is left.`);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
