// cholesky_block.wgsl - G Gᵀ = D for one diagonal block of at most 32 × 32, G into L
// block_column [rows, 32], rows ≥ size: its first `size` rows are D (lower triangle read); L, rows of n: G goes to (row, column), zeros above its diagonal;
// status [1]: 1 + index (column + j) of the first pivot that is not positive and finite, else 0. After a bad pivot the rest of G is the identity: finite, and no hang.
struct Params { n: u32, row: u32, column: u32, size: u32 }
@group(0) @binding(0) var<storage, read> block_column: array<f32>;
@group(0) @binding(1) var<storage, read_write> L: array<f32>;
@group(0) @binding(2) var<storage, read_write> status: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

var<workgroup> g: array<f32, 528>; // the triangle, row after row: SwiftShader compiles for 0.25 ms a float of workgroup memory

fn at(i: u32, j: u32) -> u32 { return i * (i + 1u) / 2u + j; }

@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) lane: u32) {
  let end = select(0u, lane + 1u, lane < p.size); // this lane's part of its row
  for (var j = 0u; j < end; j++) { g[at(lane, j)] = block_column[lane * 32u + j]; }
  var failed = status[0] != 0.0;
  workgroupBarrier();
  for (var j = 0u; j < p.size; j++) {
    let pivot = g[at(j, j)];
    // Positive finite floats are the bit patterns 1 … 0x7f7fffff; a comparison with NaN could be optimised away.
    let bits = bitcast<u32>(pivot);
    let good = !failed && bits > 0u && bits < 0x7f800000u;
    if (!good && !failed && lane == 0u) { status[0] = f32(p.column + j + 1u); }
    failed = failed || !good;
    let root = select(1.0, sqrt(pivot), good);
    var mine = 0.0;
    if (good && j + 1u < end) { mine = g[at(lane, j)] / root; }
    workgroupBarrier();
    if (j < end) { g[at(lane, j)] = select(mine, root, lane == j); }
    workgroupBarrier();
    if (good) {
      for (var k = j + 1u; k < end; k++) { g[at(lane, k)] -= mine * g[at(k, j)]; }
    }
    workgroupBarrier();
  }
  if (lane >= p.size) { return; }
  for (var j = 0u; j < p.size; j++) {
    var value = 0.0;
    if (j < end) { value = g[at(lane, j)]; }
    L[(p.row + lane) * p.n + p.column + j] = value;
  }
}
