/** What our processes take while something runs: memory of each kind, and how much of the processors others had. Linux only; elsewhere nothing is told. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cpus } from "node:os";

/**
 * @typedef {object} Taken
 * @property {number} ms
 * @property {Record<string, number>} peaks the largest peak of resident memory, in bytes, of each kind of process: "node", or Chromium's own names
 * @property {number | null} others share of the processors that other work had
 */

const everyMs = 500;
const tickMs = 10;
const exists = existsSync("/proc/self/status");

/** @typedef {{ id: number, parent: number, cpuMs: number }} Process */

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return ""; // it has ended
  }
}

/** @param {string} stat a line of /proc/ID/stat @returns {Process | null} */
export function processOf(stat) {
  // The name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 20) return null;
  return { id: Number.parseInt(stat, 10), parent: Number(fields[1]), cpuMs: tickMs * (Number(fields[11]) + Number(fields[12])) };
}

/**
 * The processes that this one started, and what those started.
 * @param {readonly Process[]} all
 * @param {number} from
 * @returns {Process[]}
 */
export function descendants(all, from) {
  const children = all.filter(({ parent }) => parent === from);
  return [...children, ...children.flatMap(({ id }) => descendants(all, id))];
}

/** @param {string} commandLine words with a NUL after each */
export const kindOf = (commandLine) => /--type=([\w-]+)/.exec(commandLine)?.[1] ?? (/chrom/i.test(commandLine) ? "browser" : "node");

const busyMs = () => cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);

/**
 * Does the work, and tells what it took.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<{ value: T, taken: Taken }>}
 */
export async function watched(work) {
  /** @type {Record<string, number>} */
  const peaks = {};
  /** @type {Map<number, { from: number, to: number }>} */
  const cpu = new Map();
  let begun = false;
  const sample = () => {
    const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? (processOf(read(`/proc/${name}/stat`)) ?? []) : []));
    for (const { id, cpuMs } of descendants(all, process.pid)) {
      // What a browser did before the work began does not count.
      cpu.set(id, { from: cpu.get(id)?.from ?? (begun ? 0 : cpuMs), to: cpuMs });
      const peak = 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(read(`/proc/${id}/status`))?.[1] ?? 0);
      const kind = kindOf(read(`/proc/${id}/cmdline`));
      peaks[kind] = Math.max(peaks[kind] ?? 0, peak);
    }
  };
  if (exists) sample();
  begun = true;
  const timer = exists ? setInterval(sample, everyMs) : undefined;
  const [began, busy, own] = [performance.now(), busyMs(), process.cpuUsage()];
  try {
    const value = await work();
    const ms = performance.now() - began;
    const { user, system } = process.cpuUsage(own);
    const ours = (user + system) / 1000 + [...cpu.values()].reduce((sum, { from, to }) => sum + to - from, 0);
    const others = exists ? Math.max(0, (busyMs() - busy - ours) / (ms * cpus().length)) : null;
    return { value, taken: { ms, peaks, others } };
  } finally {
    clearInterval(timer);
  }
}
