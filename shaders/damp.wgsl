// damp.wgsl - A = H; A[j, j] = (dead[j] ? mean : H[j, j]) + fraction · mean
// H, A: rows `first` … first + rows − 1 of [n, n]; dead [n]; mean [1], of the live diagonal: with the dead entries replaced it is the mean of the whole diagonal too.
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32, fraction: f32 }
@group(0) @binding(0) var<storage, read> H: array<f32>;
@group(0) @binding(1) var<storage, read> dead: array<u32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> A: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  let i = at / p.n;
  if (i >= p.rows) { return; }
  let j = p.first + i;
  var value = H[at];
  if (at % p.n == j) { value = select(value, mean[0], dead[j] != 0u) + p.fraction * mean[0]; }
  A[at] = value;
}
