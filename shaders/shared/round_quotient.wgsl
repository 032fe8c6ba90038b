// round_quotient.wgsl - round((w + low) / s), half to even, exactly
// For a positive s of 18 bits at most and |low| at most half a unit in w's last place; beyond ±63 (±1024 where s has 11 bits) only roughly. The f32 quotient may be rounded across a midpoint, but
// c·s is exact, so comparing what is left of w with s/2 settles it.
fn round_quotient(w: f32, low: f32, s: f32) -> f32 {
  let c = clamp(round(w / s), -1024.0, 1024.0);
  let left = w - c * s; // exact
  let half = 0.5 * s;
  let odd = (i32(c) & 1) == 1;
  let above = (left - half) + low;
  let below = (left + half) + low;
  if (above > 0.0 || (above == 0.0 && odd)) { return c + 1.0; }
  if (below < 0.0 || (below == 0.0 && odd)) { return c - 1.0; }
  return c;
}
