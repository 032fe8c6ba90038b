// diagonal.wgsl - y[j] = A[j, j]
// A: rows `first` … first + rows − 1 of [n, n]; y [n].
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32 }
@group(0) @binding(0) var<storage, read> A: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.rows) { return; }
  y[p.first + i] = A[i * p.n + p.first + i];
}
