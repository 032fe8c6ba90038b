import type { Platform } from "../../src/engine/platform";
import { plainHasher } from "../../src/io/hasher";
import { memoryScratch, type Scratch } from "../../src/io/scratch";
import { createCpuOps } from "../../src/ops/cpu";

/** The engine's surroundings in memory, on the reference. `places` outlive an engine, as a disk does. */
export function memoryPlatform(places = new Map<string, Scratch>(), change: Partial<Platform> = {}): Platform {
  const claimed = new Set<string>();
  return {
    runsAgain: true,
    exportsTo: "elsewhere",
    freeBytes: async () => null,
    openOps: async () => createCpuOps(),
    startHasher: plainHasher,
    helperFor: () => undefined,
    async claimRun(id) {
      const scratch = places.get(id) ?? memoryScratch();
      places.set(id, scratch);
      claimed.add(id);
      return { scratch, release: async () => void claimed.delete(id) };
    },
    keptRuns: async () => [...places.keys()].filter((id) => !claimed.has(id)),
    canKeep: async () => true,
    openSpill: async () => memoryScratch(),
    ...change,
  };
}
