// dead_inputs.wgsl - dead[j] = 1 where H[j, j] = 0
// diagonal, dead [n].
override WG: u32 = 64; // 1..256
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> diagonal: array<f32>;
@group(0) @binding(1) var<storage, read_write> dead: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let j = (wg.x + wg.y * nwg.x) * WG + lane;
  if (j >= p.n) { return; }
  dead[j] = select(0u, 1u, diagonal[j] == 0.0);
}
