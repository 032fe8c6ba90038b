// add_exactly.wgsl - y = a + factor · b rounded, rest = what the rounding lost: y + rest = a + factor · b
// a, b, y, rest: n floats. Knuth's two-sum, exact whichever is larger; the product is rounded before it.
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
  let term = p.factor * b[i];
  let sum = a[i] + term;
  let of_term = sum - a[i];
  y[i] = sum;
  rest[i] = (a[i] - (sum - of_term)) + (term - of_term);
}
