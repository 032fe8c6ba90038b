import { blobFile, givenSource } from "../io/browser";
import type { Source } from "../io/types";
import { zipSource } from "../io/zip-source";
import type { Checkpoint } from "../model/checkpoint";
import type { RunEvent } from "../results/events";
import type { Verification } from "../results/verification";
import { checkSource } from "../verify/verify";
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
  return checkSource(await sourceOf(request), { original, progress, startHasher: workerHasher, signal });
}

/** The files by their paths, or those of our own zip. */
async function sourceOf({ files, label }: CheckRequest): Promise<Source> {
  if (files.length === 1 && /\.zip$/i.test(files[0].path)) return { ...(await zipSource(blobFile(files[0].file))), label };
  return givenSource(files, label);
}
