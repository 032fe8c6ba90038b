/** How long Dawn looks for finished work at every turn of Node's loop, before it looks once a millisecond. */
const eagerMs = 1;

const isNative = (fn: () => void): boolean => Function.prototype.toString.call(fn).includes("[native code]");

/**
 * Dawn's addon for Node waits for the device by a chain of `setImmediate`, each link set by the one before, and so keeps a core busy for as long as the
 * device works: with a software driver the very core that it computes on. From here on such a chain waits a millisecond at each link, once it has
 * gone on for one. The addon's links are native functions; calls with one of JavaScript pass as they are.
 */
export function waitPatiently(): void {
  const immediate = globalThis.setImmediate;
  /** When the chain began whose link is running now; null while none is. */
  let running: number | null = null;
  const link = (work: () => void, begun: number) => () => {
    running = begun;
    try {
      work();
    } finally {
      running = null;
    }
  };
  const patient = (work: () => void, ...args: []) => {
    if (!isNative(work)) return immediate(work, ...args);
    const now = performance.now();
    const next = link(work, running ?? now);
    return running !== null && now - running > eagerMs ? setTimeout(next, 1) : immediate(next);
  };
  globalThis.setImmediate = Object.assign(patient, immediate) as unknown as typeof setImmediate;
}
