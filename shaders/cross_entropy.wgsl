// cross_entropy.wgsl - (m, Σ, z) ← (m' = max(m, max logits), Σ·exp(m − m') + Σⱼ exp(logitⱼ − m'), z or the target's logit)
// state [T, 3]; logits [T, n] of the vocabulary entries offset …; targets [T].
override LANES: u32 = 64; // power of two; the invocations of a row
override ROWS: u32 = 1; // rows of a workgroup; LANES · ROWS in 1..256
struct Params { rows: u32, n: u32, offset: u32 }
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

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

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let start = row * p.n;
  let live = row < p.rows;
  let n = select(0u, p.n, live); // a row beyond the last may not return before the barriers
  let before = state[3u * row];
  var top = before;
  for (var j = id.x; j < n; j += LANES) { top = max(top, logits[start + j]); }
  top = largest(top, id);
  var sum = 0.0;
  for (var j = id.x; j < n; j += LANES) { sum += exp(logits[start + j] - top); }
  sum = total(sum, id);
  if (live && id.x == 0u) {
    state[3u * row] = top;
    // The clamp: before any logits `before` is the least f32, and the difference must not run off to −infinity.
    state[3u * row + 1u] = state[3u * row + 1u] * exp(max(before - top, -200.0)) + sum;
    let target_column = targets[row] - p.offset; // wraps to a huge number below the slice
    if (target_column < p.n) { state[3u * row + 2u] = logits[start + target_column]; }
  }
}
