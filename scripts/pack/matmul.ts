/** Rates of both matmul kernels, beside the adapter's own arithmetic. */
import { createGpuOps, type GpuOps } from "../../src/ops/gpu";
import { openNodeGpu } from "../../src/ops/gpu/node";
import type { Ops } from "../../src/ops/ops";
import { differs, values } from "./check";
import { fmaRate } from "./fma";
import { percent, rate, secondsOf } from "./timing";
import { fact, noTime, type Teller } from "./types";

/** Entries looked at after timing, at uneven distances. */
const sampled = 512;

/** Why a · b is not what it must be, or null: sampled entries, the last one among them. */
export function wrongProduct(a: Float32Array, b: Float32Array, n: number, c: ArrayLike<number>): string | null {
  if (c.length !== n * n) return `${c.length} entries, not ${n * n}`;
  for (let s = 0; s < sampled; s++) {
    const at = s ? (s * 104729) % (n * n) : n * n - 1;
    const [row, column] = [Math.floor(at / n), at % n];
    const wrong = differs(c[at], n, (k) => a[row * n + k] * b[k * n + column]);
    if (wrong) return `entry ${row}, ${column} ${wrong}`;
  }
  return null;
}

/** Seconds of one n × n × n product. @throws if its outcome is wrong. */
export async function timeMatmul(ops: Ops, n: number): Promise<number> {
  const [a, b] = [values(1, [n, n]), values(2, [n, n])];
  const scope = ops.scope();
  try {
    const [A, B] = [ops.fromFloats(a, [n, n]), ops.fromFloats(b, [n, n])];
    const seconds = await secondsOf(ops, () => ops.free(ops.matmul(A, B)));
    const [c] = await ops.read([ops.matmul(A, B)]);
    const wrong = wrongProduct(a, b, n, c);
    if (wrong) throw new Error(wrong);
    return seconds;
  } finally {
    scope.end();
  }
}

/** The two kernels, or in place of ops why there are none. */
async function kernels(): Promise<[string, GpuOps | string][]> {
  const gpu = await openNodeGpu();
  const plain = await createGpuOps(gpu, { matmul: "tiled" });
  const { subgroupMinSize: least, subgroupMaxSize: most } = plain.gpu.adapter.info;
  const lanes = least === most && least && plain.gpu.device.features.has("subgroups") ? least : 0;
  const quad =
    lanes >= 4 && lanes <= 64 ? await createGpuOps(gpu, { matmul: lanes }) : `subgroups of ${least ?? "?"} to ${most ?? "?"} lanes`;
  return [
    ["workgroup tiles", plain],
    ["quads", quad],
  ];
}

export async function matmulRows(sizes: readonly number[], tell: Teller): Promise<void> {
  const chosen = await kernels();
  const ops = chosen[0][1] as GpuOps;
  tell.doing("the FMA loop");
  const peak = await fmaRate(ops);
  tell.row(fact("FMA loop in registers", rate(peak), "the best of three; 2 operations a multiply-add"));
  for (const [name, kernel] of chosen) {
    let last = 0;
    for (const n of sizes) {
      const what = `matmul ${n}³, ${name}`;
      tell.doing(what);
      if (typeof kernel === "string") tell.row(fact(what, "not run", kernel));
      // Five runs at the rate of the size before.
      else if (Date.now() + 1000 * 5 * last * 8 > tell.until) tell.row(fact(what, noTime));
      else
        try {
          last = await timeMatmul(kernel, n);
          const reached = (2 * n ** 3) / last;
          tell.row(fact(what, `${rate(reached)}, ${percent(reached / peak)} of the FMA loop`));
        } catch (error) {
          tell.failed(`${what}: ${error instanceof Error ? error.message : error}`);
        }
    }
  }
}
