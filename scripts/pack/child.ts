/** A part in a process of its own: a driver that hangs or crashes takes only that part with it. */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import type { Ending, PartRun } from "./schedule";
import type { Note } from "./types";

export interface Child {
  command: string;
  args: readonly string[];
  cwd: string;
  env: NodeJS.ProcessEnv;
  /** Where the part writes its notes. */
  notes: string;
  /** File descriptor that takes what it prints. */
  log: number;
  /** In milliseconds since 1970. */
  until: number;
}

/** A process that waits in the kernel for a dead driver cannot be killed: after so long it is left behind. */
const patience = 500;

/** Runs a part and kills it when its time is over. */
export async function runChild({ command, args, cwd, env, notes, log, until }: Child): Promise<PartRun> {
  rmSync(notes, { force: true });
  const child = spawn(command, args, { cwd, env, stdio: ["ignore", log, log] });
  let cut = false;
  const kill = () => void child.kill("SIGKILL");
  process.once("exit", kill); // The pack may be stopped itself.
  const ending = await new Promise<Ending>((resolve) => {
    const timer = setTimeout(() => {
      cut = true;
      kill();
      setTimeout(() => resolve({ kind: "cut" }), patience);
    }, until - Date.now());
    const end = (value: Ending) => {
      clearTimeout(timer);
      resolve(cut ? { kind: "cut" } : value);
    };
    child.on("error", (error) => end({ kind: "ended", code: null, signal: error.message }));
    child.on("exit", (code, signal) => end({ kind: "ended", code, signal }));
  });
  process.off("exit", kill);
  return { notes: read(notes), ending };
}

/** Whole lines: the last one may be half a note. */
function read(path: string): Note[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return []; // It wrote none.
  }
  return text
    .slice(0, text.lastIndexOf("\n") + 1)
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}
