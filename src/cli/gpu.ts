import { createCpuOps } from "../ops/cpu";
import { createGpuOps } from "../ops/gpu";
import { openNodeGpu } from "../ops/gpu/node";
import type { Ops } from "../ops/ops";
import { avoidExit } from "./interrupt";
import { say } from "./terminal";

/** Opens the adapter to run on, and names it on stderr. @throws QuantError `no-webgpu`. */
export async function openOps(reference: boolean): Promise<Ops> {
  if (!reference) avoidExit();
  const ops = reference ? createCpuOps() : await createGpuOps(await openNodeGpu());
  say(`Adapter: ${ops.adapter.description}${ops.adapter.software && !reference ? " (software: correct, but slow)" : ""}`);
  return ops;
}
