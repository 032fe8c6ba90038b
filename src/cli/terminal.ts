import type { RunEvent } from "../results/events";

const stderr = (text: string) => process.stderr.write(text);

/** File names come from the outside: no control characters reach the terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is removed
export const safe = (text: string): string => text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "·");

/** Shows progress on stderr: one line that rewrites itself on a terminal, one line per block elsewhere. stdout is for results. */
export function listener(): (event: RunEvent) => void {
  const started = performance.now();
  const live = process.stderr.isTTY === true;
  return (event) => {
    if (event.type === "log") stderr(`${clear(live)}${safe(event.message)}\n`);
    if (event.type === "block") {
      const { index, delta, relativeDelta } = event.block;
      stderr(
        `${clear(live)}block ${String(index + 1).padStart(3)}  Δ = ${delta.toExponential(4)}  relative ${relativeDelta.toExponential(3)}\n`,
      );
    }
    if (event.type === "progress" && live)
      stderr(`${clear(live)}${statusLine(event.done / event.total, event.where, performance.now() - started)}`);
  };
}

export const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

const clear = (live: boolean) => (live ? "\r\u001b[2K" : "");

function statusLine(fraction: number, where: string, elapsed: number): string {
  const left = fraction > 0.02 && fraction < 1 ? `, about ${Math.ceil((elapsed * (1 - fraction)) / fraction / 1000)} s left` : "";
  return `${Math.floor(100 * fraction)} % ${safe(where)}${left}`;
}

/** Prints a line on stderr. */
export function say(text: string): void {
  stderr(`${clear(process.stderr.isTTY === true)}${safe(text)}\n`);
}

/** Prints a command's result, which is all that goes to stdout. */
export function result(text: string): void {
  process.stdout.write(`${text}\n`);
}
