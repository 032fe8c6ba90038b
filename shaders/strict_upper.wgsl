// strict_upper.wgsl - y[i, j] = j > i ? A[i, j] : 0
// A, y: rows `first` … first + rows − 1 of [n, n].
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32 }
@group(0) @binding(0) var<storage, read> A: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  let i = at / p.n;
  if (i >= p.rows) { return; }
  y[at] = select(0.0, A[at], at % p.n > p.first + i);
}
