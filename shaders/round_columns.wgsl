// round_columns.wgsl - for a block's columns j in turn: x_j = w_j − Σ_{i<j} (e_i·U_ij − x_i·P_ij), c = the code of x_j on its grid, e_j = (x_j − ŵ(c)) / U_jj
// W [rows, n], of which columns first … first + size − 1 (128 at most) are read; U, P (only if WITH_P) [size, size]: the squares of these columns, transposed; scales, zeros [rows, groups];
// order [n] (only if INDEXED); codes [rows, n]; errors [rows, stride]: the e_j, and with P from column `values` on the x_j.
// One lane a row: rows are independent, so there is no barrier between columns. A column gathers what the ones before it left, in one compensated sum: taken off
// one by one, 127 roundings of w would decide which way a code falls.
// uses: grid_code
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

fn round_row(row: u32, lane: u32) {
  for (var j = 0u; j < p.size; j++) {
    let column = p.first + j;
    var input = column;
    if (INDEXED) { input = order[column]; }
    let g = row * p.groups + input / p.group_size;
    // Kahan's sum; what it still lacks at the end goes into the rounding and the error.
    var x = w[j * WG + lane];
    var low = 0.0;
    for (var i = 0u; i < j; i++) {
      let at = j * p.size + i;
      var change = w[i * WG + lane] * U[at];
      if (WITH_P) { change -= errors[row * p.stride + p.values + i] * P[at]; }
      let term = low - change;
      let next = x + term;
      low = term - (next - x);
      x = next;
    }
    let code = code_of(x, low, scales[g], zeros[g], p.top);
    codes[row * p.n + column] = u32(code);
    let value = value_of(scales[g], zeros[g], code);
    w[j * WG + lane] = ((x - value.high) + (low - value.low)) / U[j * p.size + j];
    if (WITH_P) { errors[row * p.stride + p.values + j] = x; }
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
