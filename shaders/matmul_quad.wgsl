// matmul_quad.wgsl - C = [C or D] + alpha · A·B, 16 × 4·WG outputs a workgroup, no shared memory and no barrier
// Rows of A, B and D start at multiples of 4 floats; NT and NN need k % 4 = 0.
// Four lanes (a quad) own 16 rows × 16 columns: each lane loads four of the rows of A, shares them by broadcast, and multiplies 4 × 4 matrices with its own
// four columns of B. Software adapters pay 5 to 10 times as much for a load as for a product, hence the broadcast.
// uses: matmul_params
enable subgroups;
override WG: u32 = 4; // 4..64, the subgroup size
const RUN4 = 8u; // fours of terms summed before they join the total
@group(0) @binding(0) var<storage, read> A: array<vec4f>;
@group(0) @binding(1) var<storage, read> B: array<vec4f>;
@group(0) @binding(2) var<storage, read> D: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> C: array<f32>;

// Four lanes' vectors side by side; in the form TN they are columns of A and become rows.
fn rows_of(v: vec4f) -> mat4x4f {
  let m = mat4x4f(quadBroadcast(v, 0u), quadBroadcast(v, 1u), quadBroadcast(v, 2u), quadBroadcast(v, 3u));
  if (FORM == 2u) { return transpose(m); }
  return m;
}

fn load(at: u32) -> vec4f {
  if (DIFFERENCE) { return A[at] - D[at]; }
  return A[at];
}

fn put_one(at: u32, column: u32, value: f32) {
  if (column >= p.n) { return; }
  if (ADD == 1u) { C[at] += value; } else { C[at] = value; }
}

fn put(c: u32, row: u32, column: u32, v: vec4f) {
  if (row >= p.m) { return; }
  let at = c + row * p.c_stride + column;
  var value = p.alpha * v;
  if (ADD == 2u) { value += D[(p.d + row * p.d_stride + column) / 4u]; }
  put_one(at, column, value.x);
  put_one(at + 1u, column + 1u, value.y);
  put_one(at + 2u, column + 2u, value.z);
  put_one(at + 3u, column + 3u, value.w);
}

// What C holds of one row's four columns.
fn held(c: u32, row: u32, column: u32) -> vec4f {
  var v = vec4f();
  if (!GOES_ON || row >= p.m) { return v; }
  for (var j = 0u; j < 4u; j++) {
    if (column + j < p.n) { v[j] = C[c + row * p.c_stride + column + j]; }
  }
  return v;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let across = (p.n + 4u * WG - 1u) / (4u * WG);
  let id = wg.x + wg.y * nwg.x;
  let z = id / (p.tiles * across);
  let row = p.first_row + (id / across) % p.tiles * 16u;
  let left = id % across * 4u * WG;
  if (z >= p.batches || (p.part == 1u && left > row + 15u)) { return; }
  let start = starts(z);
  let a = start.a / 4u;
  let b = start.b / 4u;
  let l = lane & 3u;
  let column = left + 4u * lane;
  let as4 = p.a_stride / 4u;
  let bs4 = p.b_stride / 4u;
  var depth = p.k;
  if (p.part == 2u) { depth = min(depth, row + 16u); }
  let end = (depth + 3u) / 4u;
  // Rows beyond m repeat the last one and are not stored; so do columns beyond n.
  var at = vec4u();
  if (FORM == 2u) {
    at = a + vec4u(row / 4u) + vec4u(0u, 1u, 2u, 3u);
  } else {
    at = a + min(vec4u(row + l) + vec4u(0u, 4u, 8u, 12u), vec4u(p.m - 1u)) * as4;
  }
  var of_b = vec4u();
  if (FORM == 0u) { of_b = b + min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * bs4; }
  let column4 = b + min(column, p.n - 1u) / 4u;
  var totals: array<mat4x4f, 4>;
  if (GOES_ON) {
    for (var i = 0u; i < 16u; i++) { totals[i / 4u][i % 4u] = held(start.c, row + i, column); }
  }
  // One float32 sum over the whole depth would lose digits: hundreds of tokens in a Gram sum, thousands of inputs in a layer. Runs begin at
  // multiples of 32 whatever is left out, so that a product in pieces is summed alike.
  for (var first = select(0u, left / 32u * 8u, p.part == 3u); first < end; first += RUN4) {
    var s0 = mat4x4f();
    var s1 = mat4x4f();
    var s2 = mat4x4f();
    var s3 = mat4x4f();
    for (var k = first; k < min(first + RUN4, end); k++) {
      var m: mat4x4f;
      if (FORM == 0u) {
        m = transpose(mat4x4f(B[of_b.x + k], B[of_b.y + k], B[of_b.z + k], B[of_b.w + k]));
      } else {
        let r = min(vec4u(4u * k) + vec4u(0u, 1u, 2u, 3u), vec4u(p.k - 1u)) * bs4 + column4;
        m = mat4x4f(B[r.x], B[r.y], B[r.z], B[r.w]);
      }
      if (FORM == 2u) {
        let live = select(0.0, 1.0, 4u * k + l < p.k);
        let o = at + min(4u * k + l, p.k - 1u) * as4;
        s0 += m * rows_of(live * load(o.x));
        s1 += m * rows_of(live * load(o.y));
        s2 += m * rows_of(live * load(o.z));
        s3 += m * rows_of(live * load(o.w));
      } else {
        s0 += m * rows_of(load(at.x + k));
        s1 += m * rows_of(load(at.y + k));
        s2 += m * rows_of(load(at.z + k));
        s3 += m * rows_of(load(at.w + k));
      }
    }
    totals[0] += s0;
    totals[1] += s1;
    totals[2] += s2;
    totals[3] += s3;
  }
  for (var i = 0u; i < 16u; i++) { put(start.c, row + i, column, totals[i / 4u][i % 4u]); }
}
