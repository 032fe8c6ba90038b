import type { Checkpoint } from "../model/checkpoint";
import type { RunEvent } from "../results/events";
import type { Verification } from "../results/verification";
import { checkSource } from "../verify/verify";
import { sourceOfGiven } from "./given";
import { workerHasher } from "./hasher";
import type { CheckRequest } from "./protocol";

/** Checks files that the person gave. It computes nothing on a GPU. */
export async function checkFiles(
  request: CheckRequest,
  original: Checkpoint | null,
  onEvent: (event: RunEvent) => void,
  signal: AbortSignal,
): Promise<Verification> {
  const progress = (done: number, total: number, where: string) => onEvent({ type: "progress", done, total, where });
  return checkSource(await sourceOfGiven(request), { original, progress, startHasher: workerHasher, signal });
}
