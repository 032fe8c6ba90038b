// triangle_inverse.wgsl - X = G⁻¹ for diagonal blocks G (32 × 32, the last one maybe smaller) of a lower triangle [n, n]
// L: a panel of its rows; the b-th G begins in its row `row` + 32·b, in column `column` + 32·b. The b-th X goes to `to` + b·step + i·stride + j of `inverse`.
// One workgroup a block, one lane a column, which it reads back itself.
struct Params { n: u32, row: u32, column: u32, to: u32, stride: u32, step: u32 }
@group(0) @binding(0) var<storage, read> L: array<f32>;
@group(0) @binding(1) var<storage, read_write> inverse: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(32)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let column = p.column + wg.x * 32u;
  let size = min(32u, p.n - column);
  if (lane >= size) { return; }
  let x = p.to + wg.x * p.step + lane;
  for (var i = 0u; i < size; i++) {
    var value = 0.0;
    if (i >= lane) {
      let row = (p.row + wg.x * 32u + i) * p.n + column;
      value = select(0.0, 1.0, i == lane);
      for (var k = lane; k < i; k++) { value -= L[row + k] * inverse[x + p.stride * k]; }
      value /= L[row + i];
    }
    inverse[x + p.stride * i] = value;
  }
}
