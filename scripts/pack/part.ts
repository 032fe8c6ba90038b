/** One part of the pack, in its own process: `node part.js NAME`. What it finds goes to the file QEP_PACK_NOTES, a line a note. */
import { appendFileSync } from "node:fs";
import { createGpuOps } from "../../src/ops/gpu";
import { openNodeGpu } from "../../src/ops/gpu/node";
import type { Note, Teller } from "./types";

const { QEP_PACK_NOTES: notes, QEP_PACK_UNTIL: until, QEP_PACK_SOFTWARE: softwareFlag, QEP_PACK_DRIVER: driver } = process.env;

const note = (value: Note) => appendFileSync(notes!, `${JSON.stringify(value)}\n`);
const tell: Teller = {
  until: Number(until),
  row: (row) => note({ row }),
  doing: (doing) => note({ doing }),
  failed: (failed) => note({ failed }),
};
const onSoftware = softwareFlag === "1";

async function part(name: string): Promise<void> {
  const [kind, which] = name.split("/");
  if (kind === "tests") return (await import("./tests")).kernelRows(which, onSoftware, tell);
  if (kind === "conformance") return (await import("./tests")).conformanceRows(which, tell);
  const sizes = await import("./sizes");
  const size = onSoftware ? sizes.software : sizes.hardware;
  if (which === "matmul") return (await import("./matmul")).matmulRows(size.matmul, tell);
  const ops = await createGpuOps(await openNodeGpu());
  if (kind === "facts") note({ card: (await import("./facts")).factRows(ops, driver ?? "", tell) });
  else if (which === "solve") await (await import("./solve")).solveRows(ops, size.solve.n, size.solve.m, tell);
  else if (which === "cost") await (await import("./cost")).costs(ops, size.cost.size, size.cost.windows, size.cost.rounds, tell);
  else if (which === "slopes") await (await import("./slopes")).slopes(ops, size.slopes, tell);
  else if (kind === "block") await (await import("./block")).blockRows(ops, size.block.name, size.block.size, size.block.windows, tell);
  else throw new Error(`there is no part ${name}`);
}

// Exits by itself, because a native WebGPU instance keeps the event loop alive. The last note is written before: Dawn may crash while it ends.
part(process.argv[2])
  .catch((error) => {
    console.error(error);
    tell.failed(error instanceof Error ? error.message : String(error));
  })
  .finally(() => {
    note({ finished: true });
    process.exit(0);
  });
