import { homedir } from "node:os";
import { join } from "node:path";
import { choicesIn } from "../io/choices";
import { folderScratch } from "../io/node-scratch";
import { createCpuOps } from "../ops/cpu";
import { createGpuOps } from "../ops/gpu";
import { openNodeGpu } from "../ops/gpu/node";
import type { Ops } from "../ops/ops";
import { avoidExit } from "./interrupt";
import { say } from "./terminal";

/** The form of the matmul kernel that was found best on an adapter, kept in the user's cache. */
const choices = choicesIn(async () => folderScratch(join(cacheFolder(), "kernels")));

function cacheFolder(): string {
  const { LOCALAPPDATA, XDG_CACHE_HOME } = process.env;
  const caches = process.platform === "win32" ? LOCALAPPDATA : XDG_CACHE_HOME;
  return join(caches || join(homedir(), ".cache"), "qep-studio");
}

/** Opens the adapter to run on, and names it on stderr. @throws QuantError `no-webgpu`. */
export async function openOps(reference: boolean): Promise<Ops> {
  if (!reference) avoidExit();
  const ops = reference ? createCpuOps() : await createGpuOps(await openNodeGpu(), { choices });
  say(`Adapter: ${ops.adapter.description}${ops.adapter.software && !reference ? " (software: correct, but slow)" : ""}`);
  return ops;
}
