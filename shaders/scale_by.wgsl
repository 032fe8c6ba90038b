// scale_by.wgsl - y[i, j] = a[i, j] · s[j], or / s[j]; by rows: s[i]
// a, y: n floats in rows of `columns`; s [columns], or one for each row.
override WG: u32 = 64; // 1..256
override BY_ROWS: bool = false;
override DIVIDE: bool = false;
struct Params { n: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> s: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let factor = s[select(i % p.columns, i / p.columns, BY_ROWS)];
  if (DIVIDE) { y[i] = a[i] / factor; } else { y[i] = a[i] * factor; }
}
