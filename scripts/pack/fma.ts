/**
 * What the adapter's arithmetic gives at best: a loop of multiply-adds in registers, which loads nothing. Written as v·a + b, which compilers fuse where the
 * adapter can; WGSL's fma() is a slow exact function on software adapters.
 */
import type { GpuOps } from "../../src/ops/gpu";

const lanes = 64;
/** Multiply-adds of one pass through the loop: 8 vectors of 4. */
const each = 32;

const code = `
@group(0) @binding(0) var<storage, read> given: array<f32>; // factor, summand, passes
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(${lanes}) fn main(@builtin(global_invocation_id) id: vec3u) {
  let a = vec4f(given[0]);
  let b = vec4f(given[1]);
  let passes = u32(given[2]);
  ${Array.from({ length: 8 }, (_, i) => `var v${i} = vec4f(f32(id.x % 7u + ${i}u) / 16.0);`).join(" ")}
  for (var i = 0u; i < passes; i++) {
    ${Array.from({ length: 8 }, (_, i) => `v${i} = v${i} * a + b;`).join(" ")}
  }
  y[id.x] = dot(${Array.from({ length: 8 }, (_, i) => `v${i}`).join(" + ")}, vec4f(0.03125));
}`;

/** What an invocation must end with: of every start the same recurrence, in float64. */
function expected(id: number, a: number, b: number, passes: number): number {
  let sum = 0;
  for (let i = 0; i < 8; i++) {
    let v = ((id % 7) + i) / 16;
    for (let p = 0; p < passes; p++) v = v * a + b;
    sum += v;
  }
  return sum / 8;
}

/** Multiply-adds count as two operations. @throws if what the loop computed is wrong: then its time means nothing. */
export async function fmaRate({ gpu: { device }, adapter }: GpuOps): Promise<number> {
  const groups = adapter.software ? 32 : 8192;
  const count = groups * lanes;
  // Each step moves the value a little, so that no step can be left out.
  const [a, b] = [1 - 2 ** -12, 2 ** -12];
  const buffer = (size: number, usage: number) => device.createBuffer({ size, usage });
  const given = buffer(16, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  const y = buffer(4 * count, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const back = buffer(4 * count, GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST);
  const compute = { module: device.createShaderModule({ code }), entryPoint: "main" };
  const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute });
  const entries = [given, y].map((b, binding) => ({ binding, resource: { buffer: b } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  const run = async (passes: number): Promise<number> => {
    device.queue.writeBuffer(given, 0, Float32Array.of(a, b, passes));
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(groups);
    pass.end();
    const start = performance.now();
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
    return (performance.now() - start) / 1000;
  };
  let passes = 256;
  let best = 0;
  // Longer until the clock sees it, then three times. 2²⁰ passes end any adapter's doubt.
  for (let seen = 0; seen < 3; ) {
    const took = await run(passes);
    if (took < 0.05 && passes < 2 ** 20) passes *= 2;
    else {
      seen++;
      best = Math.max(best, (2 * each * passes * count) / took);
    }
  }
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(y, 0, back, 0, 4 * count);
  device.queue.submit([encoder.finish()]);
  await back.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(back.getMappedRange().slice(0));
  for (const used of [given, y, back]) used.destroy();
  for (const id of [0, 1, count >> 1, count - 1]) {
    const want = expected(id, a, b, passes);
    // The recurrence forgets its errors as it forgets its start: 2¹² steps' worth of them stay, of two roundings each; the sums at the end add a few.
    if (!(Math.abs(values[id] - want) <= (2 ** 13 + 32) * 2 ** -24)) throw new Error(`the FMA loop gave ${values[id]}, not ${want}`);
  }
  return best;
}
