// encode.wgsl - code = clamp(round(w / s) + z, 0, 2ᵇ − 1), round half to even, exactly
// W, codes: n elements; scales, zeros: one each for every `size` elements; top = 2ᵇ − 1.
override WG: u32 = 64; // 1..256
struct Params { n: u32, size: u32, top: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read> zeros: array<f32>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// As in grid.wgsl: c·s is exact for an f16 s, so comparing the rest with s/2 corrects a quotient that was rounded across a tie.
fn round_quotient(w: f32, s: f32) -> f32 {
  let c = clamp(round(w / s), -1024.0, 1024.0);
  let rest = w - c * s;
  let half = 0.5 * s;
  let odd = (i32(c) & 1) == 1;
  if (rest > half || (rest == half && odd)) { return c + 1.0; }
  if (rest < -half || (rest == -half && odd)) { return c - 1.0; }
  return c;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let g = i / p.size;
  codes[i] = u32(clamp(round_quotient(W[i], scales[g]) + zeros[g], 0.0, f32(p.top)));
}
