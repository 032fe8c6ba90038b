// grid_code.wgsl - code = clamp(round(w/S) + z, 0, top) and ŵ = S·(code − z); of real zeros clamp(round((w + M)/S), 0, top) and S·code − M
// S·code and S·(code − z) are exact in f32: S is an f16 value and codes have 8 bits at most, or S is one times 8 bits and codes have 6. `zero` is z or M. Only
// with real zeros may S be negative, or 0, where there is but one point.
// uses: round_quotient, two_sum
override REAL_ZERO: bool = false;

// Of w + low, |low| at most half a unit in w's last place. Half to even, exactly.
fn code_of(w: f32, low: f32, S: f32, zero: f32, top: u32) -> f32 {
  if (!REAL_ZERO) { return clamp(round_quotient(w, low, S) + zero, 0.0, f32(top)); }
  if (S == 0.0) { return 0.0; }
  let sign = select(1.0, -1.0, S < 0.0);
  // Where w and −M are near each other, low is no longer small beside their sum.
  let sum = two_sum(sign * w, sign * zero);
  let all = two_sum(sum.high, sum.low + sign * low);
  return clamp(round_quotient(all.high, all.low, sign * S), 0.0, f32(top));
}

fn value_of(S: f32, zero: f32, code: f32) -> Two {
  if (!REAL_ZERO) { return Two(S * (code - zero), 0.0); }
  return two_sum(S * code, -zero);
}
