// diagonal_mean.wgsl - mean = Σ H[j, j] over live j / their number; 1 if none is live
// H [n, n]; dead [n]; mean [1]. One workgroup.
override WG: u32 = 64; // power of two, 1..256
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> H: array<f32>;
@group(0) @binding(1) var<storage, read> dead: array<u32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> partial: array<vec2f, WG>;

@compute @workgroup_size(WG)
fn main(@builtin(local_invocation_index) lane: u32) {
  var sum = vec2f();
  for (var j = lane; j < p.n; j += WG) {
    if (dead[j] == 0u) { sum += vec2f(H[j * p.n + j], 1.0); }
  }
  partial[lane] = sum;
  for (var s = WG / 2u; s > 0u; s /= 2u) {
    workgroupBarrier();
    if (lane < s) { partial[lane] += partial[lane + s]; }
  }
  if (lane == 0u) { mean[0] = select(1.0, partial[0].x / max(partial[0].y, 1.0), partial[0].y > 0.0); }
}
