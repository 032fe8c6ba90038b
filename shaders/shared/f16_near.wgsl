// f16_near.wgsl - the f16 value nearest to v, half to even; ±∞ beyond f16
fn f16_near(v: f32) -> f32 {
  let size = abs(v);
  if (size >= 65520.0) { return bitcast<f32>((bitcast<u32>(v) & 0x80000000u) | 0x7f800000u); }
  let field = max(bitcast<u32>(size) >> 23u, 113u) - 10u;
  let step = bitcast<f32>(field << 23u);
  let near = round(size * bitcast<f32>((254u - field) << 23u)) * step; // both products by powers of two
  return select(near, -near, v < 0.0);
}
