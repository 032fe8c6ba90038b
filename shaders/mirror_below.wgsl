// mirror_below.wgsl - H[i, j] = H[j, i] for rows i of one panel and rows j of a panel below it
// upper: rows `first` … first + rows − 1 of H [n, n]; lower: rows `below` … below + count − 1.
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32, below: u32, count: u32 }
@group(0) @binding(0) var<storage, read> lower: array<f32>;
@group(0) @binding(1) var<storage, read_write> upper: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  let i = at / p.count;
  let j = at % p.count;
  if (i >= p.rows) { return; }
  upper[i * p.n + p.below + j] = lower[j * p.n + p.first + i];
}
