// add_exactly.wgsl - y = a + factor · b rounded, rest = what the rounding lost: y + rest = a + factor · b
// a, b, y, rest: n floats. The product is rounded before it is added.
// uses: two_sum
override WG: u32 = 64; // 1..256
struct Params { n: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> rest: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let sum = two_sum(a[i], p.factor * b[i]);
  y[i] = sum.high;
  rest[i] = sum.low;
}
