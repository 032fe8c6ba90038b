import { meanings } from "../errors";
import { exits } from "./exit";
import { say } from "./terminal";

const cleanups: (() => boolean)[] = [];

/** @param cleanup is called before the command exits in the middle of its job: removes what would be left behind, or says what is kept; false where that cannot be done now. */
export const beforeLeaving = (cleanup: () => boolean): void => void cleanups.push(cleanup);

/** A job that checks its signal stops well within this. */
const graceMs = 400;
const tickMs = 50;

/**
 * Ctrl-C asks the job to stop and clean up, and exits without it if it has not stopped after `graceMs`. Compiling kernels keeps the event loop busy for up
 * to a second; if Ctrl-C itself was handled late because of that, the command exits at once. So it does on a second Ctrl-C.
 */
export function interruptSignal(): AbortSignal {
  const controller = new AbortController();
  let lastTick = performance.now();
  setInterval(() => {
    lastTick = performance.now();
  }, tickMs).unref();
  for (const name of ["SIGINT", "SIGTERM"] as const)
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(exits.interrupted);
      const isLate = performance.now() - lastTick > 4 * tickMs;
      if (isLate) leaveNow();
      say("Stopping…");
      controller.abort();
      setTimeout(leaveNow, graceMs);
    });
  return controller.signal;
}

let isExitSafe = true;

/** From now on the process must not call exit in the middle of a job: Dawn sometimes crashes when that happens while it compiles. */
export const avoidExit = (): void => {
  isExitSafe = false;
};

/** Exits, unless a cleanup cannot be done now: then the job stops by itself. Where an exit is not safe, the process dies of SIGINT, which shells report as 130. */
function leaveNow(): void {
  if (!cleanups.every((cleanup) => cleanup())) return;
  say(`${meanings.cancelled}.`);
  if (isExitSafe) process.exit(exits.interrupted);
  process.removeAllListeners("SIGINT");
  process.kill(process.pid, "SIGINT");
}
