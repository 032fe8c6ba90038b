// softmax.wgsl - P = softmax(S) over the keys a query may see, 0 elsewhere, in place
// S [rows, 4·stride4]: row r is the query at position i = r mod length, its columns the keys of the same window; sees i − window < j ≤ i (window 0: all j ≤ i).
// Columns right of the 64-column tile that holds i are left alone: the product with V stops there.
override LANES: u32 = 64; // power of two; the invocations of a row
override ROWS: u32 = 1; // rows of a workgroup; LANES · ROWS in 1..256
struct Params { rows: u32, length: u32, stride4: u32, window: u32 }
@group(0) @binding(0) var<storage, read_write> s: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

const least = -3.4028234e38;
var<workgroup> partial: array<f32, LANES * ROWS>;

// With one lane a row there is nothing to share, and no barrier: those are dear on software adapters.
fn largest(value: f32, id: vec3u) -> f32 {
  if (LANES == 1u) { return value; }
  let base = id.y * LANES;
  partial[base + id.x] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (id.x < half) { partial[base + id.x] = max(partial[base + id.x], partial[base + id.x + half]); }
  }
  workgroupBarrier();
  return partial[base];
}

fn total(value: f32, id: vec3u) -> f32 {
  if (LANES == 1u) { return value; }
  let base = id.y * LANES;
  workgroupBarrier(); // all have read the last result
  partial[base + id.x] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (id.x < half) { partial[base + id.x] += partial[base + id.x + half]; }
  }
  workgroupBarrier();
  return partial[base];
}

// exp to 1 ulp for x ≤ 88 (from −87 down it is e⁻⁸⁷), after Cephes' expf: WGSL's own may be off by 3 + 2|x| ulp, and SwiftShader's errs to one side, which no
// mean over tokens takes away. e^x = 2ⁿ · e^r, |r| ≤ ln 2 / 2; n times the first part of ln 2 is exact. Not max(): it would turn NaN into a number.
fn near_exp(exponent: vec4f) -> vec4f {
  let x = select(exponent, vec4f(-87.0), exponent < vec4f(-87.0));
  let n = round(x * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4;
  let tail = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1;
  return (1.0 + (r + r * r * tail)) * bitcast<vec4f>(vec4u(vec4i(n) + 127) << vec4u(23u));
}

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let i = row % p.length;
  var first = 0u;
  if (p.window > 0u && i + 1u > p.window) { first = i + 1u - p.window; }
  let start = row * p.stride4;
  // A row beyond the last has no columns; it may not return before the barriers.
  let tile = select(0u, min(p.stride4, (i / 64u + 1u) * 16u), row < p.rows);
  let begin = first / 4u + id.x;
  let end = min(tile, i / 4u + 1u);
  let four = vec4u(0u, 1u, 2u, 3u);
  var tops = vec4f(least);
  for (var j = begin; j < end; j += LANES) {
    let column = 4u * j + four;
    tops = max(tops, select(vec4f(least), s[start + j], (column >= vec4u(first)) & (column <= vec4u(i))));
  }
  let top = largest(max(max(tops.x, tops.y), max(tops.z, tops.w)), id);
  var sums = vec4f();
  for (var j = begin; j < end; j += LANES) {
    let column = 4u * j + four;
    let e = select(vec4f(), near_exp(s[start + j] - top), (column >= vec4u(first)) & (column <= vec4u(i)));
    s[start + j] = e;
    sums += e;
  }
  let factor = 1.0 / total(sums.x + sums.y + sums.z + sums.w, id);
  for (var j = begin; j < end; j += LANES) { s[start + j] *= factor; }
  for (var j = id.x; j < min(first / 4u, tile); j += LANES) { s[start + j] = vec4f(); }
  for (var j = end + id.x; j < tile; j += LANES) { s[start + j] = vec4f(); }
}
