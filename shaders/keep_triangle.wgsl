// keep_triangle.wgsl - A[i, j] = 0 for j > i, or UPPER: for j ≤ i, in place
// A: rows `first` … first + rows − 1 of [n, n].
override WG: u32 = 64; // 1..256
override UPPER: bool = false;
struct Params { rows: u32, n: u32, first: u32 }
@group(0) @binding(0) var<storage, read_write> A: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  let i = at / p.n;
  if (i >= p.rows) { return; }
  let above = at % p.n > p.first + i;
  if (above != UPPER) { A[at] = 0.0; }
}
