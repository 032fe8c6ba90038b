// zero_columns.wgsl - y[i, j] = dead[j] ? 0 : w[i, j]
// w, y: n floats in rows of `columns`; dead [columns].
override WG: u32 = 64; // 1..256
struct Params { n: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read> dead: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  y[i] = select(w[i], 0.0, dead[i % p.columns] != 0u);
}
