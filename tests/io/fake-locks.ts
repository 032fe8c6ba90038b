type Work = (lock: object | null) => unknown;

/** The part of a browser's lock manager that is used: a name is held until the callback's promise ends, and who waits for it gets it then. */
export function fakeLocks() {
  const last = new Map<string, Promise<unknown>>();
  return {
    async request(name: string, options: { ifAvailable?: boolean } | Work, given?: Work) {
      const work = typeof options === "function" ? options : given!;
      const before = last.get(name);
      if (before && typeof options !== "function" && options.ifAvailable) return work(null);
      const held = (async () => {
        await before;
        return work({ name });
      })();
      last.set(name, held);
      try {
        await held;
      } finally {
        if (last.get(name) === held) last.delete(name);
      }
    },
  };
}
