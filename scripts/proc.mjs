/** What every script here needs: child processes, and ending with one sentence. Plain Node: these run before any package is installed. */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** A thing the person can put right. Printed as one sentence, without a stack. */
export class Stop extends Error {}

/**
 * Runs a command and resolves to its exit status (128 when it was killed).
 * @param {string} command
 * @param {string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, minutes?: number, shell?: boolean, into?: number, cwd?: string }} [options] `into`: the file that takes what it
 * prints; else our terminal does
 * @returns {Promise<number>}
 */
export function run(command, args, { env, minutes, shell = false, into, cwd = root } = {}) {
  return new Promise((resolve, reject) => {
    const out = into ?? "inherit";
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", out, out], shell });
    const timer = minutes && setTimeout(() => child.kill("SIGKILL"), minutes * 60_000);
    child.on("error", reject);
    child.on("exit", (code) => {
      if (timer) clearTimeout(timer);
      resolve(code ?? 128);
    });
  });
}

/**
 * What a short command prints, or null when it is missing or fails.
 * @param {string} command
 * @param {string[]} args
 */
export function output(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], windowsHide: true });
  return result.status === 0 ? result.stdout.trim() : null;
}

/**
 * True when the module is what was started, not imported.
 * @param {ImportMeta} meta
 */
export function isMain(meta) {
  return process.argv[1] !== undefined && fileURLToPath(meta.url) === process.argv[1];
}

/**
 * Runs a script's main function; a Stop becomes a sentence and status 1.
 * @param {() => unknown} main
 */
export async function script(main) {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
