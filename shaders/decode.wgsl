// decode.wgsl - w = s · (code − z)
// codes, W: n elements in rows of `columns`; scales, zeros [rows, groups]; group_of [columns] (only if INDEXED, else groups are runs of `size` in order).
override WG: u32 = 64; // 1..256
override INDEXED: bool = false;
struct Params { n: u32, columns: u32, groups: u32, size: u32 }
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read> zeros: array<f32>;
@group(0) @binding(3) var<storage, read> group_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> W: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let c = i % p.columns;
  var g = c / p.size;
  if (INDEXED) { g = group_of[c]; }
  g += (i / p.columns) * p.groups;
  W[i] = scales[g] * (f32(codes[i]) - zeros[g]);
}
