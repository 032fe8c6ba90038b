// add.wgsl - y = a + factor · b
// a, b, y: n4 vectors of 4 floats; the last one may be partly padding.
override WG: u32 = 64; // 1..256
struct Params { n4: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n4) { return; }
  y[i] = a[i] + p.factor * b[i];
}
