// clip_choice.wgsl - choice[g] = candidate, least[g] = Σ e·f, where that is below least[g] (candidate 0 sets them)
// e, f: `groups` runs of `size` floats, f = e · G; least, choice [groups]. One invocation a group.
override WG: u32 = 64; // 1..256
struct Params { groups: u32, size: u32, candidate: u32 }
@group(0) @binding(0) var<storage, read> e: array<f32>;
@group(0) @binding(1) var<storage, read> f: array<f32>;
@group(0) @binding(2) var<storage, read_write> least: array<f32>;
@group(0) @binding(3) var<storage, read_write> choice: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = (wg.x + wg.y * nwg.x) * WG + lane;
  if (g >= p.groups) { return; }
  var sum = 0.0;
  for (var i = g * p.size; i < (g + 1u) * p.size; i++) { sum += e[i] * f[i]; }
  if (p.candidate == 0u || sum < least[g]) {
    least[g] = sum;
    choice[g] = p.candidate;
  }
}
