import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Platform } from "../engine/platform";
import { workFolder } from "../io/node";
import { nodeHasher } from "../io/node-hasher";
import { folderScratch, freeBytes } from "../io/node-scratch";
import { openOps } from "./gpu";
import { threadHelper } from "./helper";

/** The hidden folder beside an output folder, or in it where it is there, in which its run is kept until it is done. */
export const runFolder = (out: string): string => workFolder(out, "run");

/** Node's side of the engine. @param folder where the one run of this command is kept, claimed by the caller; null: the command has none. */
export function nodePlatform(reference: boolean, folder: string | null): Platform & { close(): Promise<void> } {
  const spill = folder ? join(folder, "spill") : join(tmpdir(), `qep-studio-spill-${process.pid}`);
  return {
    runsAgain: false,
    exportsTo: "same disk",
    freeBytes: () => freeBytes(folder ?? tmpdir()),
    openOps: () => openOps(reference),
    startHasher: nodeHasher,
    helperFor: threadHelper,
    claimRun: async () => ({ scratch: folderScratch(join(folder!, "journal")), release: async () => {} }),
    keptRuns: async () => [],
    canKeep: async () => true,
    async openSpill() {
      const scratch = folderScratch(spill);
      await scratch.clear();
      return scratch;
    },
    async close() {
      if (existsSync(spill)) await rm(spill, { recursive: true, force: true });
    },
  };
}
