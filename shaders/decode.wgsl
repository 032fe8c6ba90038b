// decode.wgsl - w = S · (code − z), of real zeros S · code − M; or f16 of it
// codes, W: n elements in rows of `columns`; scales, zeros [rows, groups]; group_of [columns] (only if INDEXED, else groups are runs of `size` in order).
// uses: grid_code
override WG: u32 = 64; // 1..256
override INDEXED: bool = false;
override HALF: bool = false; // the second form
struct Params { n: u32, columns: u32, groups: u32, size: u32 }
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read> zeros: array<f32>;
@group(0) @binding(3) var<storage, read> group_of: array<u32>;
@group(0) @binding(4) var<storage, read_write> W: array<u32>; // the bits of f32, infinity being one
@group(1) @binding(0) var<uniform> p: Params;

// v rounded to f16, half to even. Neighbouring f16 values around v differ by 2^(exponent − 10), 2⁻²⁴ at least; counting in these is exact.
fn half(v: Two) -> u32 {
  let field = max((bitcast<u32>(v.high) >> 23u) & 255u, 113u) - 10u;
  let exact = v.high * bitcast<f32>((254u - field) << 23u);
  var count = round(exact);
  // A tie that v became only when it was rounded to f32.
  if (v.low != 0.0 && abs(exact - count) == 0.5) { count = exact + select(-0.5, 0.5, v.low > 0.0); }
  let rounded = bitcast<u32>(count * bitcast<f32>(field << 23u));
  return select(rounded, (rounded & 0x80000000u) | 0x7f800000u, (rounded & 0x7fffffffu) >= 0x47800000u); // 65536
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let c = i % p.columns;
  var g = c / p.size;
  if (INDEXED) { g = group_of[c]; }
  g += (i / p.columns) * p.groups;
  let w = value_of(scales[g], zeros[g], f32(codes[i]));
  if (HALF) { W[i] = half(w); } else { W[i] = bitcast<u32>(w.high); }
}
