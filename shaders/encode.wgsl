// encode.wgsl - code = clamp(round(w / S) + z, 0, 2ᵇ − 1), of real zeros clamp(round((w + M) / S), 0, 2ᵇ − 1), round half to even, exactly
// W, codes: n elements; scales, zeros: one each for every `size` elements; top = 2ᵇ − 1.
// uses: grid_code
override WG: u32 = 64; // 1..256
struct Params { n: u32, size: u32, top: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read> zeros: array<f32>;
@group(0) @binding(3) var<storage, read_write> codes: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let g = i / p.size;
  codes[i] = u32(code_of(W[i], 0.0, scales[g], zeros[g], p.top));
}
