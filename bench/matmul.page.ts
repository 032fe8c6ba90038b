/**
 * Matmul beside its peers: jax-js, tfjs-backend-webgpu and onnxruntime-web, in one page of Chromium. `npm run bench -- --only matmul`
 *
 * bench/peers/ has the page and the peers, in packages of its own; a development server of ours hands out both, so that nothing comes from elsewhere.
 */
import { join } from "node:path";
import { expect, type Page, test } from "@playwright/test";
import { createServer, type ViteDevServer } from "vite";
import { digits, percent, rate } from "../scripts/pack/timing";
import { root } from "../scripts/proc.mjs";
import type { bench, Times } from "./peers/page";
import { fact, judged, type Row, small, write } from "./support/report";
import { median, medianRatio } from "./support/times";

const shapes = small
  ? [{ m: 64, k: 256, n: 64 }]
  : [
      { m: 512, k: 2048, n: 512 },
      { m: 1024, k: 1024, n: 1024 },
    ];
const rounds = small ? 2 : 4;
const own = "QEP Studio";

interface WithBench {
  bench: typeof bench;
}

let server: ViteDevServer;

test.beforeAll(async () => {
  server = await createServer({
    root: join(root, "bench/peers"),
    configFile: false,
    logLevel: "warn",
    cacheDir: join(root, ".cache/vite-peers"),
    server: { host: "127.0.0.1", port: 0, hmr: false, fs: { allow: [root] } },
    // Named, so that none is found late, which would load the page again. The runtime finds its wasm beside itself only where it is not bundled.
    optimizeDeps: { include: ["@jax-js/jax", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-webgpu"], exclude: ["onnxruntime-web"] },
  });
  await server.listen();
});

test.afterAll(() => server.close());

/** The page, once all libraries have a device. */
async function openPeers(page: Page, outside: string[]): Promise<string> {
  const home = server.resolvedUrls!.local[0];
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(error.message));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== new URL(home).origin) outside.push(request.url());
  });
  await page.goto(home);
  await expect.poll(() => faults[0] ?? page.evaluate(() => "bench" in window)).toBe(true);
  return page.evaluate(() => (window as unknown as WithBench).bench.adapter);
}

const leastRatio = 3.5;

/** @param work operations of one product. @param loop operations a second of the loop of multiply-adds. */
function rowsOf(shape: string, work: number, times: Times, loop: number): Row[] {
  const names = Object.keys(times).filter((name) => name !== own);
  const best = names.toSorted((a, b) => median(times[a]) - median(times[b]))[0];
  const ratio = medianRatio(times[best], times[own]);
  const each = [own, ...names].map((name) => `${name} ${digits(median(times[name]))} ms`).join(", ");
  const perSecond = (name: string) => work / (median(times[name]) / 1000);
  const [wanted, reached] = [leastRatio * perSecond(best), perSecond(own)];
  const others = names.filter((name) => name !== best).map((name) => `${digits(medianRatio(times[name], times[own]))}× ${name}`);
  return [
    judged({
      what: `Matmul ${shape}: how many times as fast as the best peer`,
      measured: `${digits(ratio)}× ${best} (${others.join(", ")})`,
      value: ratio,
      goal: { least: leastRatio, text: `≥ ${leastRatio}×` },
      why: `it asks for ${rate(wanted)}, ${percent(wanted / loop)} of what a loop of nothing but multiply-adds in registers gives in this page (${rate(loop)}); we reach ${rate(reached)}, ${percent(reached / loop)}.`,
    }),
    fact(`Matmul ${shape}: times`, each),
  ];
}

test("matmul beside jax-js, tfjs and onnxruntime-web", async ({ page, browser }) => {
  test.setTimeout(1_800_000);
  const outside: string[] = [];
  const adapter = await openPeers(page, outside);
  const measured: { shape: (typeof shapes)[number]; times: Times }[] = [];
  const loops: number[] = [];
  for (const shape of shapes) {
    loops.push(await page.evaluate(() => (window as unknown as WithBench).bench.fmaRate()));
    const times = await page.evaluate(([shape, rounds]) => (window as unknown as WithBench).bench.compare(shape, rounds), [
      shape,
      rounds,
    ] as const);
    measured.push({ shape, times });
  }
  // The loop's best of all its turns, so that a busy moment does not make it less.
  const loop = Math.max(...loops);
  const rows = measured.flatMap(({ shape: { m, k, n }, times }) => rowsOf(`${m} × ${k} × ${n}`, 2 * m * k * n, times, loop));
  expect(outside).toEqual([]);
  const { dependencies } = (await import("./peers/package.json", { with: { type: "json" } })).default;
  const versions = ["@jax-js/jax", "@tensorflow/tfjs-backend-webgpu", "onnxruntime-web"] as const;
  await write(
    {
      name: "matmul",
      title: "Matmul beside its peers, in a page",
      order: 10,
      adapter: `${adapter} in Chromium ${browser.version()}`,
      intro:
        `One page, f32, operands and results on the device; a time is from the call until the device is done. ${rounds} rounds after one that compiles, ` +
        `in turn; ratios are medians over rounds. 256 entries of every timed product are held against float64 afterwards. ` +
        `Peers: ${versions.map((name) => `${name.replace("@jax-js/jax", "jax-js").replace("@tensorflow/", "")} ${dependencies[name]}`).join(", ")}.`,
    },
    rows,
  );
});
