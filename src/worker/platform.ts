import type { Platform, RunPlace } from "../engine/platform";
import { QuantError } from "../errors";
import { choicesIn } from "../io/choices";
import { type Claim, claim, newPlace, privateBytes, privateFolder } from "../io/opfs-folders";
import { opfsScratch } from "../io/opfs-scratch";
import { memoryScratch } from "../io/scratch";
import { createCpuOps } from "../ops/cpu";
import { createGpuOps } from "../ops/gpu";
import { browserGpu } from "../ops/gpu/browser";
import { openPatiently } from "./gpu";
import { workerHasher } from "./hasher";
import { workerHelper } from "./helper";

const runsFolder = "runs";
const spillFolder = "spill";
const kernelsFolder = "kernels";

/** The form of the matmul kernel that was found best on an adapter. */
const choices = choicesIn(async () => {
  const folder = await privateFolder(kernelsFolder);
  return folder && opfsScratch(folder, "matmul");
});

/**
 * The browser's side of the engine. Runs are kept in the origin's private file system, in memory where there is none.
 * @param picksFolders a person can choose a folder to export to; where they cannot, a zip is the only way.
 */
export function webPlatform(reference: boolean, picksFolders: boolean): Platform {
  return {
    runsAgain: true,
    exportsTo: picksFolders ? "elsewhere" : "zip",
    freeBytes: privateBytes,
    async openOps() {
      if (reference) return createCpuOps();
      const gpu = browserGpu();
      return openPatiently(() => createGpuOps(gpu, { choices }));
    },
    startHasher: workerHasher,
    helperFor: workerHelper,
    async claimRun(id): Promise<RunPlace> {
      const folder = await privateFolder(runsFolder);
      if (!folder) return { scratch: memoryScratch(), release: async () => {} };
      const claimed: Claim | null = await claim(`${runsFolder}/${id}`);
      if (!claimed) throw new QuantError("run-exists", "another tab is working on it", "Close that tab, or wait for it.");
      return { scratch: opfsScratch(folder, id), release: claimed.release };
    },
    async keptRuns() {
      const ids: string[] = [];
      const folder = await privateFolder(runsFolder);
      if (folder) for await (const id of folder.keys()) ids.push(id);
      return ids.sort();
    },
    canKeep: async () => (await privateFolder(runsFolder)) !== null,
    async openSpill() {
      const place = await newPlace(spillFolder);
      return place ? opfsScratch(place.folder, place.name) : memoryScratch();
    },
  };
}
