// permute_columns.wgsl - y[i, j] = a[i, index[j]], or y[i, index[j]] = a[i, j]
// a, y: n elements of 32 bits, floats or not, in rows of `columns`; index [columns].
override WG: u32 = 64; // 1..256
override SCATTER: bool = false;
struct Params { n: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> a: array<u32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  if (at >= p.n) { return; }
  let j = at % p.columns;
  let other = at - j + index[j];
  if (SCATTER) { y[other] = a[at]; } else { y[at] = a[other]; }
}
