/** What the adapter is and can. */
import { readdirSync, readFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import type { GpuOps } from "../../src/ops/gpu";
import { type Card, fact, type Teller } from "./types";

const nvidia = "/proc/driver/nvidia";

/** What NVIDIA's kernel module says of itself; null where there is none. */
function said<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null; // Another vendor's, or none.
  }
}

const driverVersion = () => said(() => /Kernel Module[^\d]*([\d.]+)/.exec(readFileSync(`${nvidia}/version`, "utf8"))?.[1] ?? null);

/** The card's name as it is sold, where there is one card. Dawn tells it in small letters. */
const cardName = () =>
  said(() => {
    const [card, ...others] = readdirSync(`${nvidia}/gpus`);
    return others.length ? null : (/^Model:\s*(.+)$/m.exec(readFileSync(`${nvidia}/gpus/${card}/information`, "utf8"))?.[1] ?? null);
  });

const shown = [
  ...(["maxBufferSize", "maxStorageBufferBindingSize", "maxStorageBuffersPerShaderStage", "maxComputeWorkgroupStorageSize"] as const),
  ...(["maxComputeInvocationsPerWorkgroup", "maxComputeWorkgroupsPerDimension"] as const),
];

export function factRows(ops: GpuOps, how: string, tell: Teller): Card {
  const { adapter } = ops.gpu;
  const { vendor, architecture, device, description, subgroupMinSize, subgroupMaxSize } = adapter.info;
  const name = (vendor === "nvidia" && cardName()) || device || description || vendor || "GPU";
  const driver = driverVersion();
  const cores = cpus(); // None where there is no /proc.
  const processor = cores.length ? `${cores.length} × ${cores[0].model.trim()}` : null;
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const machine = [name, description, driver && `NVIDIA driver ${driver}`, processor, memory];
  const card = { name, software: ops.adapter.software, machine: [...new Set(machine.filter(Boolean))].join(", ") };
  tell.row(
    fact("adapter", [vendor, architecture, device, description].filter(Boolean).join(", "), ops.adapter.software ? "software" : null),
  );
  tell.row(fact("driver", driver ?? description, how));
  tell.row(fact("subgroups", `${subgroupMinSize} to ${subgroupMaxSize} lanes`));
  tell.row(fact("limits", shown.map((limit) => `${limit} ${adapter.limits[limit]}`).join(", ")));
  tell.row(fact("features", [...adapter.features].sort().join(", ")));
  tell.row(fact("matmul kernel picked", ops.matmulForm));
  tell.row(fact("Node", `${process.version}, ${process.platform} ${process.arch}`));
  return card;
}
