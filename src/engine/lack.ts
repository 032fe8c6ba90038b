/** Whether there is room for a run, and what is said where there is not. */
import { QuantError } from "../errors";
import { exportJob, layoutOf } from "../export/entries";
import { byteSize } from "../io/text";
import type { PlanSummary } from "../results/plan";
import type { UnroomedPlan } from "./plan";
import type { Platform } from "./platform";
import { type PlannedRun, roomOf } from "./room";

/** The plan with where its data lies, and a warning if there is not so much room where the run is kept, or nothing can be kept at all. */
export async function withRoom(platform: Platform, plan: UnroomedPlan, run: PlannedRun): Promise<PlanSummary> {
  const room = roomOf(run, platform);
  if (!(await platform.canKeep())) return inMemory(platform, { ...plan, ...room });
  const lack = await lackOfRoom(platform, room.scratchBytes, platform.exportsTo === "elsewhere" ? 0 : plan.bytesOut);
  return { ...plan, ...room, warnings: [...(lack ? [lack.message] : []), ...plan.warnings] };
}

/** The plan of a run that would be kept in memory. */
function inMemory({ exportsTo }: Platform, plan: PlanSummary): PlanSummary {
  const fate =
    exportsTo === "zip"
      ? "It is lost when the tab is closed, and cannot be exported: a zip is such a file."
      : "It is lost when the tab is closed, and can be exported into a folder, but not as a zip, which is such a file.";
  const warning = `This browser lets the page keep no files, as in a private window: the run's blocks, up to ${byteSize(plan.scratchBytes)}, stay in main memory. ${fate} In an ordinary window it is kept.`;
  return { ...plan, peakHostBytes: plan.peakHostBytes + plan.scratchBytes, scratchBytes: 0, warnings: [warning, ...plan.warnings] };
}

/** @throws QuantError `disk-full` before any work, instead of after hours of it. */
export async function checkRoom(platform: Platform, run: PlannedRun): Promise<void> {
  const lack = await lackOfRoom(platform, roomOf(run, platform).scratchBytes, await besideBytes(platform, run));
  if (lack) throw lack;
}

/** Bytes of the export that must have room while the run is there. Who is just measuring may never download a zip: the plan warns them, and that is all. */
async function besideBytes({ exportsTo }: Platform, { model, plan }: PlannedRun): Promise<number> {
  if (exportsTo === "elsewhere" || (exportsTo === "zip" && plan.recipe.destination === "measure")) return 0;
  return (await layoutOf(exportJob(model, plan))).fileBytes;
}

/** What takes more room than there is, where it is missing, and what helps. */
const lacks: Record<Platform["exportsTo"], readonly [what: string, where: string, hint: string]> = {
  elsewhere: ["the run takes", "for this page", "Free some space, discard runs that are kept, or use fewer windows."],
  "same disk": [
    "the run and its export take",
    "on this disk",
    "Free some space, use fewer windows, or choose an output folder on another disk.",
  ],
  zip: [
    "the run and its zip take",
    "for this page",
    "Free some space, discard runs that are kept, use fewer windows, or use Chrome or Edge, which can export into a folder.",
  ],
};

/** What is wrong if there is not enough room; null if there is, or if nobody can tell. @param beside bytes of the export that lies beside the run. */
async function lackOfRoom(platform: Platform, needed: number, beside: number): Promise<QuantError | null> {
  const free = await platform.freeBytes();
  const total = needed + beside;
  if (free === null || free >= total) return null;
  const [what, where, hint] = lacks[beside ? platform.exportsTo : "elsewhere"];
  return new QuantError("disk-full", `${what} up to ${byteSize(total)}, and ${byteSize(free)} are free ${where}`, hint);
}
