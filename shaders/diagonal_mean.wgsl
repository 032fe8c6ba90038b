// diagonal_mean.wgsl - mean = Σ H[j, j] over live j / their number; 1 if none is live
// diagonal (of H), dead [n]; mean [1]. One workgroup, one row (ROWS is 1).
// uses: row_reduction
alias Partial = vec2f;
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> diagonal: array<f32>;
@group(0) @binding(1) var<storage, read> dead: array<u32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(local_invocation_id) id: vec3u) {
  var sum = vec2f();
  for (var j = id.x; j < p.n; j += LANES) {
    if (dead[j] == 0u) { sum += vec2f(diagonal[j], 1.0); }
  }
  let all = row_total(sum, id);
  if (id.x == 0u) { mean[0] = select(1.0, all.x / max(all.y, 1.0), all.y > 0.0); }
}
