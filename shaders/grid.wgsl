// grid.wgsl - S = f16(range / (2ᵇ − 1)), z = clamp(round(−min / S), 0, 2ᵇ − 1); symmetric: S = f16(2·max|w| / (2ᵇ − 1)), z = 2ᵇ⁻¹; real zeros: M = f16(−min)
// W [rows, all·size], and only if WITH_REST `rest` of the same shape, the weights being W + rest. One invocation a group: `span` groups of each row from `first`
// on, `groups` in all. scales, zeros [rows, all] as bits: f32 of f16 values (S at least 2⁻²⁴ and of SCALE_BITS significant bits, ±∞ beyond f16), or z.
// MSE: of the ranges that are f = 1, 0.99, … 0.21 of the whole, the one with the least Σ|w − ŵ|^2.4. A range with an integer zero holds 0 and shrinks to 0, one
// with a real zero is the weights' own and shrinks to its middle.
// All roundings are exact (half to even): S·integer is exact in f32, so the quotient's rounding is settled by comparing products, not quotients.
// uses: grid_code, round_quotient, two_sum
override WG: u32 = 64; // 1..256
override SYMMETRIC: bool = false;
override MSE: bool = false;
override WITH_REST: bool = false;
override SCALE_BITS: u32 = 11; // 1..11, all that f16 has
struct Params { groups: u32, span: u32, first: u32, all: u32, size: u32, top: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> rest: array<f32>;
@group(0) @binding(2) var<storage, read_write> scales: array<u32>;
@group(0) @binding(3) var<storage, read_write> zeros: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

// (high + low) / top rounded to so many significant bits of f16, half to even; inputs positive. The f32 quotient first, then a step up where the true one is beyond the midpoint.
fn f16_quotient(high: f32, low: f32, top: f32, digits: u32) -> f32 {
  let q = high / top;
  // Neighbouring values around q differ by step = 2^(exponent + 1 − digits), 2⁻²⁴ at least; its reciprocal by bits too, as a division may be off.
  let field = max((bitcast<u32>(q) >> 23u) + 1u, 103u + digits) - digits;
  let step = bitcast<f32>(field << 23u);
  let count = floor(q * bitcast<f32>((254u - field) << 23u));
  // How far the true quotient lies beyond (count + ½)·step, times top; the product is exact.
  let beyond = (high - (count + 0.5) * step * top) + low;
  let up = beyond > 0.0 || (beyond == 0.0 && (u32(count) & 1u) == 1u);
  return select(count, count + 1.0, up) * step;
}

struct Point { S: f32, zero: f32 }

// Of two sums: by what they are rounded to, then by what that lost.
fn less(a: Two, b: Two) -> bool { return a.high < b.high || (a.high == b.high && a.low < b.low); }

fn minus(a: Two) -> Two { return Two(-a.high, -a.low); }

fn weight(i: u32) -> Two {
  let w = W[i];
  if (!WITH_REST) { return Two(w, 0.0); }
  return two_sum(w, rest[i]); // GPTQ's feedback may have left w small beside its rest
}

// Never −0.
fn f16_of(a: Two) -> f32 {
  let negative = a.high < 0.0;
  let size = f16_quotient(abs(a.high), select(a.low, -a.low, negative), 1.0, 11u);
  return select(size, -size, negative && size > 0.0);
}

// The grid of the range [low, high].
fn point(low: Two, high: Two) -> Point {
  // A rounded range could fall on the other side of a midpoint.
  let range = two_sum(high.high, -low.high);
  let top = f32(p.top);
  let S = max(f16_quotient(range.high, range.low + (high.low - low.low), top, SCALE_BITS), 0x1p-24f);
  if (REAL_ZERO) { return Point(S, f16_of(minus(low))); }
  return Point(S, select(clamp(round_quotient(-low.high, -low.low, S), 0.0, top), f32((p.top + 1u) / 2u), SYMMETRIC));
}

// The grid of a part of that range.
fn shrunken(low: Two, high: Two, f: f32) -> Point {
  if (REAL_ZERO) {
    let cut = 0.5 * (1.0 - f) * (high.high - low.high);
    return point(two_sum(low.high, cut), two_sum(high.high, -cut));
  }
  return point(Two(f * low.high, f * low.low), Two(f * high.high, f * high.low));
}

// Σ |w − ŵ|^2.4 of the group at `start`.
fn error(start: u32, g: Point) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < p.size; i++) {
    let w = W[start + i];
    let d = abs(w - value_of(g.S, g.zero, code_of(w, 0.0, g.S, g.zero, p.top)).high);
    if (d > 0.0) { sum += pow(d, 2.4); }
  }
  return sum;
}

// A number as its bits, ±∞ where it is beyond f16.
fn f16_range(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  return select(bits, (bits & 0x80000000u) | 0x7f800000u, abs(x) >= 65520.0);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.groups) { return; }
  let at = (i / p.span) * p.all + p.first + i % p.span;
  let start = at * p.size;
  var low = Two();
  if (REAL_ZERO) { low = weight(start); }
  var high = low;
  for (var k = 0u; k < p.size; k++) {
    let w = weight(start + k);
    if (less(w, low)) { low = w; }
    if (less(high, w)) { high = w; }
  }
  if (SYMMETRIC) {
    if (less(high, minus(low))) { high = minus(low); }
    low = minus(high);
  }
  if (!REAL_ZERO && low.high == 0.0 && high.high == 0.0) {
    low.high = -1.0;
    high.high = 1.0;
  }
  var best = point(low, high);
  if (MSE) {
    var least = error(start, best);
    for (var step = 1u; step < 80u; step++) {
      let f = 1.0 - f32(step) / 100.0;
      let g = shrunken(low, high, f);
      let e = error(start, g);
      if (e < least) {
        least = e;
        best = g;
      }
    }
  }
  scales[at] = f16_range(best.S);
  zeros[at] = f16_range(best.zero);
}
