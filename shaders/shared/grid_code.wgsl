// grid_code.wgsl - code = clamp(round(w/S) + z, 0, top) and ŵ = S·(code − z); of real zeros clamp(round((w + M)/S), 0, top) and S·code − M
// S and M are f16 values, codes have 8 bits at most: S·code and S·(code − z) are exact in f32. `zero` is z or M.
// uses: round_quotient, two_sum
override REAL_ZERO: bool = false;

// Of w + low, |low| at most half a unit in w's last place. Half to even, exactly.
fn code_of(w: f32, low: f32, S: f32, zero: f32, top: u32) -> f32 {
  if (!REAL_ZERO) { return clamp(round_quotient(w, low, S) + zero, 0.0, f32(top)); }
  // Where w and −M are near each other, low is no longer small beside their sum.
  let sum = two_sum(w, zero);
  let all = two_sum(sum.high, sum.low + low);
  return clamp(round_quotient(all.high, all.low, S), 0.0, f32(top));
}

fn value_of(S: f32, zero: f32, code: f32) -> Two {
  if (!REAL_ZERO) { return Two(S * (code - zero), 0.0); }
  return two_sum(S * code, -zero);
}
