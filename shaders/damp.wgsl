// damp.wgsl - A[j, j] = (lifts and A[j, j] = 0 ? mean : A[j, j]) + fraction · mean, in place
// mean [1], of the live diagonal (with dead entries lifted to it, it is the mean of the whole diagonal too), or of all of it; A: rows `first` … first + rows − 1
// of [n, n].
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32, lifts: u32, fraction: f32 }
@group(0) @binding(0) var<storage, read> mean: array<f32>;
@group(0) @binding(1) var<storage, read_write> A: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.rows) { return; }
  let at = i * p.n + p.first + i;
  let dead = p.lifts != 0u && A[at] == 0.0;
  A[at] = select(A[at], mean[0], dead) + p.fraction * mean[0];
}
