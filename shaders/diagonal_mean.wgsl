// diagonal_mean.wgsl - mean = Σ H[j, j] / n, or with `live` over j where H[j, j] ≠ 0 / their number; 1 if there is none
// diagonal (of H) [n]; mean [1]. One workgroup, one row (ROWS is 1).
// uses: row_reduction
alias Partial = vec2f;
struct Params { n: u32, live: u32 }
@group(0) @binding(0) var<storage, read> diagonal: array<f32>;
@group(0) @binding(1) var<storage, read_write> mean: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) id: vec3u) {
  var sum = vec2f();
  for (var j = id.x; j < p.n; j += LANES) {
    if (p.live == 0u || diagonal[j] != 0.0) { sum += vec2f(diagonal[j], 1.0); }
  }
  let all = row_total(sum, id);
  if (id.x == 0u) { mean[0] = select(1.0, all.x / max(all.y, 1.0), all.y > 0.0); }
}
