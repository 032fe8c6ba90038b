// unpack.wgsl - y[i] = f32(half i of words): f16 or bf16 words to f32, exactly
// words: ⌈n/2⌉ words of two halves, the low half first; y: n floats, written as bits so that nothing on the way flushes subnormals.
override WG: u32 = 64; // 1..256
override F16: bool = false; // false: bf16
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// By hand because unpack2x16float may flush f16's subnormals.
fn f16_bits(h: u32) -> u32 {
  let sign = (h & 0x8000u) << 16u;
  let exponent = (h >> 10u) & 31u;
  let mantissa = h & 1023u;
  if (exponent == 0u) { return sign | bitcast<u32>(f32(mantissa) * 0x1p-24f); }
  if (exponent == 31u) { return sign | 0x7f800000u | (mantissa << 13u); }
  return sign | ((exponent + 112u) << 23u) | (mantissa << 13u);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let half = (words[i / 2u] >> (16u * (i & 1u))) & 0xffffu;
  if (F16) { y[i] = f16_bits(half); } else { y[i] = half << 16u; }
}
