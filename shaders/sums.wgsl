// sums.wgsl - sums[first + g] = (Σ (a − b)², Σ a²), or (Σ a·b, Σ b²), over the g-th run
// a, b [rows, columns]; a run is `together` rows, or with pieces > 1 a piece of one row, `span` elements of it. The caller adds the sums in float64.
// uses: row_reduction
alias Partial = vec2f;
override PRODUCT: bool = false; // the second form
struct Params { rows: u32, columns: u32, together: u32, pieces: u32, span: u32, first: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec2f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let g = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let row = g / p.pieces * p.together;
  let piece = g % p.pieces * p.span;
  let live = row < p.rows;
  // A run beyond the last is empty; it may not return before the barriers.
  let columns = min(p.span, p.columns - piece);
  let count = select(0u, min(p.together, p.rows - min(row, p.rows)) * select(columns, p.columns, p.pieces == 1u), live);
  let start = row * p.columns + piece;
  var sum = vec2f();
  for (var i = id.x; i < count; i += LANES) {
    let d = a[start + i] - b[start + i];
    if (PRODUCT) { sum += vec2f(a[start + i] * b[start + i], b[start + i] * b[start + i]); } else { sum += vec2f(d * d, a[start + i] * a[start + i]); }
  }
  sum = row_total(sum, id);
  if (live && id.x == 0u) { sums[p.first + g] = sum; }
}
