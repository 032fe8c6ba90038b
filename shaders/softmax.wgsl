// softmax.wgsl - P = softmax(S) over the keys a query may see, 0 elsewhere, in place
// S [rows, 4·stride4]: row r is the query at position i = (first + r) mod length, its columns the keys of the same window; sees i − window < j ≤ i (window 0: all j ≤ i).
// Columns right of the tile (`tile` columns, a multiple of 4) that holds i are left alone: the product with V stops there.
// uses: near_exp, row_reduction
alias Partial = f32;
struct Params { rows: u32, length: u32, stride4: u32, window: u32, first: u32, tile: u32 }
@group(0) @binding(0) var<storage, read_write> s: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

const least = -3.4028234e38;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let i = (p.first + row) % p.length;
  var first = 0u;
  if (p.window > 0u && i + 1u > p.window) { first = i + 1u - p.window; }
  let start = row * p.stride4;
  // A row beyond the last has no columns; it may not return before the barriers.
  let tile = select(0u, min(p.stride4, (i / p.tile + 1u) * (p.tile / 4u)), row < p.rows);
  let begin = first / 4u + id.x;
  let end = min(tile, i / 4u + 1u);
  let four = vec4u(0u, 1u, 2u, 3u);
  var tops = vec4f(least);
  for (var j = begin; j < end; j += LANES) {
    let column = 4u * j + four;
    tops = max(tops, select(vec4f(least), s[start + j], (column >= vec4u(first)) & (column <= vec4u(i))));
  }
  let top = row_largest(max(max(tops.x, tops.y), max(tops.z, tops.w)), id);
  var sums = vec4f();
  for (var j = begin; j < end; j += LANES) {
    let column = 4u * j + four;
    let e = select(vec4f(), near_exp(s[start + j] - top), (column >= vec4u(first)) & (column <= vec4u(i)));
    s[start + j] = e;
    sums += e;
  }
  let factor = 1.0 / row_total(sums.x + sums.y + sums.z + sums.w, id);
  for (var j = begin; j < end; j += LANES) { s[start + j] *= factor; }
  for (var j = id.x; j < min(first / 4u, tile); j += LANES) { s[start + j] = vec4f(); }
  for (var j = end + id.x; j < tile; j += LANES) { s[start + j] = vec4f(); }
}
