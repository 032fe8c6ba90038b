// rms_norm.wgsl - y = x / sqrt(mean(x²) + eps) · w, row by row
// x, y [rows, n]; w [n].
// uses: row_reduction
alias Partial = vec2f;
struct Params { rows: u32, n: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let start = row * p.n;
  let n = select(0u, p.n, row < p.rows); // a row beyond the last may not return before the barriers
  // Kahan's sum: an error here moves the whole row. What it still lacks is added together with eps, which alone would be rounded to the same side
  // in every row: sums of like size end at the same digit.
  var sum = 0.0;
  var lost = 0.0;
  for (var i = id.x; i < n; i += LANES) {
    let value = x[start + i];
    let term = value * value - lost;
    let next = sum + term;
    lost = (next - sum) - term;
    sum = next;
  }
  let all = row_total(vec2f(sum, lost), id);
  let factor = 1.0 / sqrt((all.x + (p.eps * f32(p.n) - all.y)) / f32(p.n));
  for (var i = id.x; i < n; i += LANES) { y[start + i] = x[start + i] * factor * w[i]; }
}
