// sums.wgsl - sums[g] = (Σ (a − b)², Σ a²), or (Σ a·b, Σ b²), over the g-th run of `span` elements
// a, b: n floats; sums [groups, 2]. The caller adds the runs in float64.
// uses: row_reduction
alias Partial = vec2f;
override PRODUCT: bool = false; // the second form
struct Params { n: u32, span: u32, groups: u32 }
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<vec2f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let g = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let end = select(0u, min(p.n, (g + 1u) * p.span), g < p.groups); // a run beyond the last may not return before the barriers
  var sum = vec2f();
  for (var i = g * p.span + id.x; i < end; i += LANES) {
    let d = a[i] - b[i];
    if (PRODUCT) { sum += vec2f(a[i] * b[i], b[i] * b[i]); } else { sum += vec2f(d * d, a[i] * a[i]); }
  }
  sum = row_total(sum, id);
  if (id.x == 0u && g < p.groups) { sums[g] = sum; }
}
