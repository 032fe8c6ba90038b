// mirror.wgsl - H[i, j] = H[j, i] for j > i, in place
// H: rows `first` … first + rows − 1 of [n, n]; of them only the square at the diagonal.
override WG: u32 = 64; // 1..256
struct Params { rows: u32, n: u32, first: u32 }
@group(0) @binding(0) var<storage, read_write> H: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  let i = at / p.n;
  let j = at % p.n - p.first; // wraps to a huge number left of the square
  if (i >= p.rows || j >= p.rows || j <= i) { return; }
  H[at] = H[j * p.n + p.first + i];
}
