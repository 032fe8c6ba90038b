// column_sums.wgsl - sums[j] += Σ_t |x[t, j]|, in place
// sums [columns]; x [rows, columns]. One invocation a column; sums of 64 rows are summed, as one long f32 sum would lose digits.
override WG: u32 = 16; // 1..256
struct Params { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read_write> sums: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let j = (wg.x + wg.y * nwg.x) * WG + lane;
  if (j >= p.columns) { return; }
  var sum = sums[j];
  for (var first = 0u; first < p.rows; first += 64u) {
    var part = 0.0;
    for (var t = first; t < min(p.rows, first + 64u); t++) { part += abs(x[t * p.columns + j]); }
    sum += part;
  }
  sums[j] = sum;
}
