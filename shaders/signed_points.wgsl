// signed_points.wgsl - S = f16 of the fit's, M = S·half of each group
// fits [groups] as group_fits makes them; scales, zeros [groups].
// uses: f16_near
override WG: u32 = 64; // 1..256
struct Params { groups: u32, half: u32 }
@group(0) @binding(0) var<storage, read> fits: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> scales: array<f32>;
@group(0) @binding(2) var<storage, read_write> zeros: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = (wg.x + wg.y * nwg.x) * WG + lane;
  if (g >= p.groups) { return; }
  let S = f16_near(fits[g].x);
  scales[g] = S;
  zeros[g] = S * f32(p.half);
}
