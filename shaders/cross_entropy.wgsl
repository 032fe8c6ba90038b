// cross_entropy.wgsl - (m, Σ, z) ← (m' = max(m, max logits), Σ·exp(m − m') + Σⱼ exp(logitⱼ − m'), z or the target's logit)
// state [T, 3]; logits [T, n] of the vocabulary entries offset …; targets [T].
// uses: row_reduction
alias Partial = f32;
struct Params { rows: u32, n: u32, offset: u32 }
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let start = row * p.n;
  let live = row < p.rows;
  let n = select(0u, p.n, live); // a row beyond the last may not return before the barriers
  let before = state[3u * row];
  var top = before;
  for (var j = id.x; j < n; j += LANES) { top = max(top, logits[start + j]); }
  top = row_largest(top, id);
  var sum = 0.0;
  for (var j = id.x; j < n; j += LANES) { sum += exp(logits[start + j] - top); }
  sum = row_total(sum, id);
  if (live && id.x == 0u) {
    state[3u * row] = top;
    // The clamp: before any logits `before` is the least f32, and the difference must not run off to −infinity.
    state[3u * row + 1u] = state[3u * row + 1u] * exp(max(before - top, -200.0)) + sum;
    let target_column = targets[row] - p.offset; // wraps to a huge number below the slice
    if (target_column < p.n) { state[3u * row + 2u] = logits[start + target_column]; }
  }
}
