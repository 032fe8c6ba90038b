// matmul.wgsl - C = [C or D] + alpha · A·B, 64 × 64 outputs a workgroup through shared memory; the form that real GPUs want
// uses: matmul_params
override DEPTH: u32 = 16; // steps of k in shared memory, 4..16; SwiftShader compiles for half a millisecond per float of it
const RUN = 32u; // terms summed before they join the total; a multiple of DEPTH
@group(0) @binding(0) var<storage, read> A: array<f32>;
@group(0) @binding(1) var<storage, read> B: array<f32>;
@group(0) @binding(2) var<storage, read> D: array<f32>;
@group(0) @binding(3) var<storage, read_write> C: array<f32>;

// Each step of k: 64 rows (or columns) as 16 vectors, and one of padding, which spreads the steps over the banks.
var<workgroup> tile_a: array<vec4f, DEPTH * 17>;
var<workgroup> tile_b: array<vec4f, DEPTH * 17>;

fn a_at(a: u32, row: u32, k: u32) -> f32 {
  if (row >= p.m || k >= p.k) { return 0.0; }
  return A[a + select(row * p.a_stride + k, k * p.a_stride + row, FORM == 2u)];
}

fn b_at(b: u32, k: u32, column: u32) -> f32 {
  if (column >= p.n || k >= p.k) { return 0.0; }
  return B[b + select(k * p.b_stride + column, column * p.b_stride + k, FORM == 0u)];
}

fn put(c: u32, row: u32, column: u32, v: vec4f) {
  if (row >= p.m) { return; }
  for (var j = 0u; j < 4u; j++) {
    if (column + j < p.n) {
      let at = c + row * p.c_stride + column + j;
      var value = p.alpha * v[j];
      if (p.add == 1u) { value += C[at]; }
      if (p.add == 2u) { value += D[p.d + row * p.d_stride + column + j]; }
      C[at] = value;
    }
  }
}

// What C holds of four rows and columns.
fn held(c: u32, row: u32, column: u32) -> mat4x4f {
  var block = mat4x4f();
  for (var i = 0u; i < 4u; i++) {
    for (var j = 0u; j < 4u; j++) {
      if (row + i < p.m && column + j < p.n) { block[i][j] = C[c + (row + i) * p.c_stride + column + j]; }
    }
  }
  return block;
}

fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

// One vector of both tiles; neighbouring lanes read neighbouring addresses: along k where k is contiguous, else along rows.
fn fill(a: u32, b: u32, row: u32, column: u32, k: u32, i: u32) {
  let along_k = vec2u(i % DEPTH, i / DEPTH);
  let along_rows = vec2u(i / 16u, i % 16u);
  let ka = select(along_k, along_rows, FORM == 2u);
  let r = row + 4u * ka.y;
  tile_a[ka.x * 17u + ka.y] = vec4f(a_at(a, r, k + ka.x), a_at(a, r + 1u, k + ka.x), a_at(a, r + 2u, k + ka.x), a_at(a, r + 3u, k + ka.x));
  let kb = select(along_rows, along_k, FORM == 0u);
  let c = column + 4u * kb.y;
  tile_b[kb.x * 17u + kb.y] = vec4f(b_at(b, k + kb.x, c), b_at(b, k + kb.x, c + 1u), b_at(b, k + kb.x, c + 2u), b_at(b, k + kb.x, c + 3u));
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let across = (p.n + 63u) / 64u;
  let id = wg.x + wg.y * nwg.x;
  let z = id / (p.tiles * across);
  let row = p.first_row + (id / across) % p.tiles * 64u;
  let column = id % across * 64u;
  if (z >= p.batches || (p.part == 1u && column > row + 63u)) { return; }
  let start = starts(z);
  var depth = p.k;
  if (p.part == 2u) { depth = min(depth, row + 64u); }
  if (p.part == 4u) { depth = min(depth, column + 64u); }
  let y = lane / 8u;
  let x = lane % 8u;
  var c00 = mat4x4f();
  var c01 = mat4x4f();
  var c10 = mat4x4f();
  var c11 = mat4x4f();
  // The four blocks of an invocation: 32 rows, or columns, apart.
  let top = row + 4u * y;
  let left = column + 4u * x;
  var totals: array<mat4x4f, 4>;
  if (p.goes_on == 1u) {
    for (var q = 0u; q < 4u; q++) { totals[q] = held(start.c, top + q / 2u * 32u, left + q % 2u * 32u); }
  }
  for (var k = select(0u, column, p.part == 3u); k < depth; k += DEPTH) {
    for (var i = lane; i < 16u * DEPTH; i += 64u) { fill(start.a, start.b, row, column, k, i); }
    workgroupBarrier();
    for (var j = 0u; j < DEPTH; j++) {
      let a0 = tile_a[j * 17u + y];
      let a1 = tile_a[j * 17u + 8u + y];
      let b0 = tile_b[j * 17u + x];
      let b1 = tile_b[j * 17u + 8u + x];
      c00 += outer(a0, b0);
      c01 += outer(a0, b1);
      c10 += outer(a1, b0);
      c11 += outer(a1, b1);
    }
    // One float32 sum over the whole depth would lose digits: hundreds of tokens in a Gram sum, thousands of inputs in a layer.
    if ((k / DEPTH) % (RUN / DEPTH) == RUN / DEPTH - 1u) {
      totals[0] += c00;
      totals[1] += c01;
      totals[2] += c10;
      totals[3] += c11;
      c00 = mat4x4f();
      c01 = mat4x4f();
      c10 = mat4x4f();
      c11 = mat4x4f();
    }
    workgroupBarrier();
  }
  totals[0] += c00;
  totals[1] += c01;
  totals[2] += c10;
  totals[3] += c11;
  for (var q = 0u; q < 4u; q++) {
    for (var i = 0u; i < 4u; i++) { put(start.c, top + q / 2u * 32u + i, left + q % 2u * 32u, totals[q][i]); }
  }
}
