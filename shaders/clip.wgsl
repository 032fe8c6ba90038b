// clip.wgsl - y = clamp(w, −m, m), m = max|w| of the group · (1 − c/20)
// W, y: `groups` runs of `size` floats; c: the candidate, or each group's own choice [groups] (any buffer where it is not used). One invocation a group.
override WG: u32 = 64; // 1..256
override CHOSEN: bool = false;
struct Params { groups: u32, size: u32, candidate: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> choice: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = (wg.x + wg.y * nwg.x) * WG + lane;
  if (g >= p.groups) { return; }
  let start = g * p.size;
  var largest = 0.0;
  for (var i = start; i < start + p.size; i++) { largest = max(largest, abs(W[i])); }
  var c = p.candidate;
  if (CHOSEN) { c = choice[g]; }
  let m = select(largest * (f32(20u - c) / 20.0), largest, c == 0u); // a division may be off by an ulp, and the first candidate clips nothing
  for (var i = start; i < start + p.size; i++) { y[i] = clamp(W[i], -m, m); }
}
