// round_panel.wgsl - for the panel's columns j in turn: c = clamp(round(w_j / s) + z, 0, 2ᵇ − 1), e_j = (w_j − s·(c − z)) / U_jj, w_k −= e_j·U_jk − w_j·P_jk for k > j
// W [rows, n], of which columns first … first + size − 1 (128 at most) are read; U [n, n] upper; P [n, n] (only if WITH_P); scales, zeros [rows, groups];
// order [n] (only if INDEXED); codes [rows, n]; errors [rows, stride]: the e_j, and with P from column `values` on the w_j as they were rounded.
// One lane a row: rows never talk, so there is no barrier between columns.
override WG: u32 = 16; // 1..32: rows, and lanes, of a workgroup; 512 bytes of shared memory each
override INDEXED: bool = false;
override WITH_P: bool = false;
struct Params { rows: u32, n: u32, first: u32, size: u32, stride: u32, groups: u32, group_size: u32, top: u32, values: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> U: array<f32>;
@group(0) @binding(2) var<storage, read> P: array<f32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read> zeros: array<f32>;
@group(0) @binding(5) var<storage, read> order: array<u32>;
@group(0) @binding(6) var<storage, read_write> codes: array<u32>;
@group(0) @binding(7) var<storage, read_write> errors: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

// Column k of lane's row at k·WG + lane: neighbouring lanes, neighbouring addresses. A finished column holds its error.
var<workgroup> w: array<f32, 128u * WG>;

// As in encode.wgsl: half to even, exactly.
fn round_quotient(x: f32, s: f32) -> f32 {
  let c = clamp(round(x / s), -1024.0, 1024.0);
  let rest = x - c * s;
  let half = 0.5 * s;
  let odd = (i32(c) & 1) == 1;
  if (rest > half || (rest == half && odd)) { return c + 1.0; }
  if (rest < -half || (rest == -half && odd)) { return c - 1.0; }
  return c;
}

fn round_row(row: u32, lane: u32) {
  for (var j = 0u; j < p.size; j++) {
    let column = p.first + j;
    var input = column;
    if (INDEXED) { input = order[column]; }
    let g = row * p.groups + input / p.group_size;
    let s = scales[g];
    let z = zeros[g];
    let x = w[j * WG + lane];
    let code = clamp(round_quotient(x, s) + z, 0.0, f32(p.top));
    codes[row * p.n + column] = u32(code);
    let u = column * p.n + p.first;
    let e = (x - s * (code - z)) / U[u + j];
    w[j * WG + lane] = e;
    if (WITH_P) { errors[row * p.stride + p.values + j] = x; }
    for (var k = j + 1u; k < p.size; k++) {
      var change = e * U[u + k];
      if (WITH_P) { change -= x * P[u + k]; }
      w[k * WG + lane] -= change;
    }
  }
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first_row = (wg.x + wg.y * nwg.x) * WG;
  let rows = min(WG, p.rows - min(first_row, p.rows));
  for (var i = lane; i < rows * p.size; i += WG) {
    w[(i % p.size) * WG + i / p.size] = W[(first_row + i / p.size) * p.n + p.first + i % p.size];
  }
  workgroupBarrier();
  if (lane < rows) { round_row(first_row + lane, lane); }
  workgroupBarrier();
  for (var i = lane; i < rows * p.size; i += WG) {
    errors[(first_row + i / p.size) * p.stride + i % p.size] = w[(i % p.size) * WG + i / p.size];
  }
}
