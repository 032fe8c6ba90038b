import { asQuantError, QuantError } from "../../errors";
import type { Gpu } from "./gpu";
import { Matmul, type MatmulForm, quads, tiles } from "./matmul";
import type { Product } from "./product";
import { flush, readBytes, upload } from "./transfer";

/** Where the form that was found best on an adapter is kept, so that the next start need not look again, and resumes to the same bits. */
export interface KernelChoices {
  /** The name of a form; null where none is kept. */
  read(adapter: string): Promise<string | null>;
  keep(adapter: string, form: string): Promise<void>;
}

/** The form in use. */
export interface PickedMatmul {
  matmul: Matmul;
  /** Multiply-adds a second, times two, where it was measured. */
  rate: number | null;
}

/** No further form is tried after so long. */
const trialMs = 2000;
/** Rows and columns of the trial's product, how long one form is timed, and how often it runs at most: some browsers' clocks stand still for many of them. */
const trialSize = 1024;
const timedMs = 25;
const mostRuns = 32;

/** The forms that this adapter can run, likely best first. */
function formsOf(gpu: Gpu): MatmulForm[] {
  const { subgroupMinSize: least, subgroupMaxSize: most } = gpu.opened.adapter.info;
  const lanes = least ?? 0;
  const hasQuads = gpu.device.features.has("subgroups") && least === most && lanes >= 4 && lanes <= 64;
  const quad = hasQuads ? [quads(lanes)] : [];
  return gpu.software ? [...quad, tiles(4)] : [tiles(16), tiles(8), ...quad];
}

/**
 * The form of the product for an adapter. Software adapters take the quad kernel, ten times as fast there, if it is right; GPUs the one that was found best
 * before, or that a trial finds best: each form is checked, then timed, until two seconds are over.
 * @throws QuantError `gpu-fault` where no form computes right.
 */
export async function pickMatmul(gpu: Gpu, choices: KernelChoices | null, measures = !gpu.software): Promise<PickedMatmul> {
  const all = formsOf(gpu);
  const adapter = gpu.opened.facts.description;
  const kept = measures && choices ? await choices.read(adapter) : null;
  const known = all.find(({ name }) => name === kept);
  for (const form of measures ? (known ? [known] : []) : all)
    if (await works(gpu, form)) return { matmul: new Matmul(gpu, form), rate: null };
  const best = await fastest(gpu, all);
  await choices?.keep(adapter, best.matmul.form.name);
  return best;
}

async function fastest(gpu: Gpu, all: readonly MatmulForm[]): Promise<PickedMatmul> {
  const started = performance.now();
  let best: PickedMatmul | null = null;
  for (const form of all) {
    if (best && performance.now() - started > trialMs) break;
    if (!(await works(gpu, form))) continue;
    const rate = await rateOf(gpu, new Matmul(gpu, form));
    if (!best || rate > best.rate!) best = { matmul: new Matmul(gpu, form), rate };
  }
  if (best) return best;
  throw new QuantError(
    "gpu-fault",
    "products come out wrong on this GPU",
    "Update its driver, use another browser, or the command line with --cpu.",
  );
}

/** Whether a form computes right. A driver that cannot compile it is no failure: another serves. */
async function works(gpu: Gpu, form: MatmulForm): Promise<boolean> {
  const scope = gpu.tracker.scope();
  try {
    return await isRight(gpu, new Matmul(gpu, form));
  } catch (e) {
    if (asQuantError(e).code === "gpu-fault") return false;
    throw e;
  } finally {
    scope.end();
  }
}

/** Operations a second of a product that fills the device, warm. */
async function rateOf(gpu: Gpu, matmul: Matmul): Promise<number> {
  const n = gpu.software ? trialSize / 8 : trialSize;
  const [a, b] = [gpu.make([n, n]), gpu.make([n, n])];
  for (const t of [a, b]) gpu.clear(t);
  const time = async (times: number) => {
    await flush(gpu);
    const started = performance.now();
    for (let i = 0; i < times; i++) gpu.free(matmul.linear(a, b));
    await flush(gpu);
    return (performance.now() - started) / times;
  };
  await time(1);
  const once = await time(1);
  const ms = await time(Math.max(1, Math.min(mostRuns, Math.ceil(timedMs / Math.max(once, 0.1)))));
  gpu.free(a, b);
  return (2 * n ** 3) / (Math.max(ms, 1e-3) / 1000);
}

/** Largest difference from the true product, relative to the sums of absolute products, of which float32 may lose a few parts in 2²⁴. */
function worstError(form: Product["form"], x: Float32Array, n: number, y: Float32Array): number {
  let worst = 0;
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      let size = 0;
      for (let k = 0; k < n; k++) {
        const term = x[form === "TN" ? k * n + i : i * n + k] * x[form === "NT" ? j * n + k : k * n + j];
        sum += term;
        size += Math.abs(term);
      }
      worst = Math.max(worst, Math.abs(y[i * n + j] - sum) / size);
    }
  return worst;
}

/** A trial in all three forms of operands: on a device whose quads are not four neighbouring lanes, the quad kernel would be silently wrong. */
async function isRight(gpu: Gpu, matmul: Matmul): Promise<boolean> {
  const n = 36; // no multiple of a tile: the edges are in the trial too
  const values = Float32Array.from({ length: n * n }, (_, i) => ((i * 7919) % 101) / 101 - 0.4);
  const x = upload(gpu, values, [n, n]);
  for (const form of ["NT", "NN", "TN"] as const) {
    const y = upload(gpu, new Float32Array(n * n), [n, n]);
    const view = { tensor: x };
    // Each form as it is used most, so that the trial compiles nothing that a run does not need.
    matmul.run({ form, m: n, n, k: n, a: view, b: view, c: { tensor: y }, add: form === "TN" ? "c" : undefined });
    const [bytes] = await readBytes(gpu, [y]);
    if (!(worstError(form, values, n, new Float32Array(bytes)) < 1e-5)) return false;
  }
  return true;
}
