// matmul_quad.wgsl - C = [C or D] + alpha · A·B, 16 rows × 4 or 8 columns an invocation, no shared memory and no barrier
// Rows of A, B and D start at multiples of 4 floats; NT and NN need k % 4 = 0.
// Four lanes (a quad) own the same 16 rows: each lane loads four of the rows of A, shares them by broadcast, and multiplies 4 × 4 matrices with its own
// columns of B. Software adapters pay 5 to 10 times as much for a load as for a product, hence the broadcast.
// uses: matmul_params
enable subgroups;
override WG: u32 = 4; // 4..64, the subgroup size
override WIDE: bool = false; // 8 columns an invocation, which makes more of each load of A; else 4
const RUN4 = 8u; // fours of terms summed before they join the total
@group(0) @binding(0) var<storage, read> A: array<vec4f>;
@group(0) @binding(1) var<storage, read> B: array<vec4f>;
@group(0) @binding(2) var<storage, read> D: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> C: array<f32>;

// Four lanes' vectors side by side. In the form TN they are columns of A and become rows; `live` is 0 for those beyond the last row, else 1.
fn rows_of(loaded: vec4f, live: f32) -> mat4x4f {
  var v = loaded;
  if (FORM == 2u) { v *= live; }
  let m = mat4x4f(quadBroadcast(v, 0u), quadBroadcast(v, 1u), quadBroadcast(v, 2u), quadBroadcast(v, 3u));
  if (FORM == 2u) { return transpose(m); }
  return m;
}

fn put(c: u32, row: u32, column: u32, v: vec4f) {
  if (row >= p.m) { return; }
  let at = c + row * p.c_stride + column;
  var value = p.alpha * v;
  if (p.add == 2u) { value += D[(p.d + row * p.d_stride + column) / 4u]; }
  if (p.add != 1u && column + 3u < p.n) {
    C[at] = value.x;
    C[at + 1u] = value.y;
    C[at + 2u] = value.z;
    C[at + 3u] = value.w;
    return;
  }
  let count = min(p.n - min(p.n, column), 4u);
  for (var j = 0u; j < count; j++) {
    if (p.add == 1u) { value[j] += C[at + j]; }
    C[at + j] = value[j];
  }
}

// What C holds of one row's four columns.
fn held(c: u32, row: u32, column: u32) -> vec4f {
  var v = vec4f();
  let count = select(0u, min(p.n - min(p.n, column), 4u), row < p.m);
  for (var j = 0u; j < count; j++) { v[j] = C[c + row * p.c_stride + column + j]; }
  return v;
}

// Where four columns of B begin: of NT each one by itself, else all in the same row.
fn columns_of(b: u32, column: u32) -> vec4u {
  if (FORM == 0u) { return b + min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * (p.b_stride / 4u); }
  return vec4u(b + min(column, p.n - 1u) / 4u);
}

// Four columns of B, of its k-th four rows, `rows` of which says how far down they lie.
fn four_of(at: vec4u, rows: vec4u, k: u32) -> mat4x4f {
  if (FORM == 0u) { return transpose(mat4x4f(B[at.x + k], B[at.y + k], B[at.z + k], B[at.w + k])); }
  return mat4x4f(B[at.x + rows.x], B[at.y + rows.y], B[at.z + rows.z], B[at.w + rows.w]);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let own = select(4u, 8u, WIDE);
  let across = (p.n + own * WG - 1u) / (own * WG);
  let id = wg.x + wg.y * nwg.x;
  let z = id / (p.tiles * across);
  let row = p.first_row + (id / across) % p.tiles * 16u;
  let left = id % across * own * WG;
  if (z >= p.batches || (p.part == 1u && left > row + 15u)) { return; }
  let start = starts(z);
  let a = start.a / 4u;
  let b = start.b / 4u;
  let l = lane & 3u;
  let column = left + own * lane;
  let as4 = p.a_stride / 4u;
  var depth = p.k;
  if (p.part == 2u) { depth = min(depth, row + 16u); }
  if (p.part == 4u) { depth = min(depth, left + own * WG); }
  let end = (depth + 3u) / 4u;
  // Rows beyond m repeat the last one and are not stored; so do columns beyond n.
  var at = vec4u();
  if (FORM == 2u) {
    at = a + vec4u(row / 4u) + vec4u(0u, 1u, 2u, 3u);
  } else {
    at = a + min(vec4u(row + l) + vec4u(0u, 4u, 8u, 12u), vec4u(p.m - 1u)) * as4;
  }
  let of_b = columns_of(b, column);
  let of_b2 = columns_of(b, column + 4u);
  // An array in memory, and loops over it: written out, it takes twice as long to compile.
  var totals: array<mat4x4f, 8>;
  if (p.goes_on == 1u) {
    for (var i = 0u; i < 4u * own; i++) { totals[i / 4u][i % 4u] = held(start.c, row + i % 16u, column + i / 16u * 4u); }
  }
  // One float32 sum over the whole depth would lose digits: hundreds of tokens in a Gram sum, thousands of inputs in a layer. Runs begin at
  // multiples of 32 whatever is left out, so that a product in pieces is summed alike.
  for (var first = select(0u, left / 32u * 8u, p.part == 3u); first < end; first += RUN4) {
    var s0 = mat4x4f();
    var s1 = mat4x4f();
    var s2 = mat4x4f();
    var s3 = mat4x4f();
    var s4 = mat4x4f();
    var s5 = mat4x4f();
    var s6 = mat4x4f();
    var s7 = mat4x4f();
    for (var k = first; k < min(first + RUN4, end); k++) {
      var o = at + k;
      var live = 1.0;
      if (FORM == 2u) {
        o = at + min(4u * k + l, p.k - 1u) * as4;
        live = select(0.0, 1.0, 4u * k + l < p.k);
      }
      let rows = min(vec4u(4u * k) + vec4u(0u, 1u, 2u, 3u), vec4u(p.k - 1u)) * (p.b_stride / 4u);
      let a0 = rows_of(A[o.x], live);
      let a1 = rows_of(A[o.y], live);
      let a2 = rows_of(A[o.z], live);
      let a3 = rows_of(A[o.w], live);
      let m = four_of(of_b, rows, k);
      s0 += m * a0;
      s1 += m * a1;
      s2 += m * a2;
      s3 += m * a3;
      if (WIDE) {
        let m2 = four_of(of_b2, rows, k);
        s4 += m2 * a0;
        s5 += m2 * a1;
        s6 += m2 * a2;
        s7 += m2 * a3;
      }
    }
    totals[0] += s0;
    totals[1] += s1;
    totals[2] += s2;
    totals[3] += s3;
    if (WIDE) {
      totals[4] += s4;
      totals[5] += s5;
      totals[6] += s6;
      totals[7] += s7;
    }
  }
  for (var i = 0u; i < 4u * own; i++) { put(start.c, row + i % 16u, column + i / 16u * 4u, totals[i / 4u][i % 4u]); }
}
