// every_row.wgsl - y[i, j] = x[first + i·step, j]
// x in rows of `columns`; y: n elements in rows of `columns`.
override WG: u32 = 64; // 1..256
struct Params { n: u32, columns: u32, first: u32, step: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  y[i] = x[(p.first + i / p.columns * p.step) * p.columns + i % p.columns];
}
