import { meanings } from "../errors";
import { exits } from "./exit";
import { say } from "./terminal";

const left: (() => boolean)[] = [];

/** Called when the command must leave before its job ended: removes what would be left behind, or says that it cannot be left at this moment. */
export const beforeLeaving = (leave: () => boolean): void => void left.push(leave);

/** A job that looks at its signal ends well within this. */
const graceMs = 400;
const tickMs = 50;

/**
 * Ctrl-C asks the job to stop and clean up, and leaves without it where it does not answer: where kernels are compiled, nothing else has a turn for up to a
 * second, and then Ctrl-C itself came late. A second one leaves anyway.
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

/** From now on the process must not exit by itself in the middle of a job: Dawn crashes now and then when that happens while it compiles. */
export const avoidExit = (): void => {
  isExitSafe = false;
};

/** Does nothing where something must not be left: the job then ends by itself. Without an exit the signal takes its usual course, which shells tell as 130. */
function leaveNow(): void {
  if (!left.every((leave) => leave())) return;
  say(`${meanings.cancelled}.`);
  if (isExitSafe) process.exit(exits.interrupted);
  process.removeAllListeners("SIGINT");
  process.kill(process.pid, "SIGINT");
}
