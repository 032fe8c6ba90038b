// permute_square.wgsl - B[i, j] = A[f(i), f(j)], f(i) = index[i], or without an index i; REVERSED: of n − 1 − i in place of i
// A, index [n] (only if INDEXED), B: A holds rows `above` … above + held − 1 of [n, n], B rows `first` … first + rows − 1; rows of B whose source is not among A's are left alone.
override WG: u32 = 64; // 1..256
override INDEXED: bool = false;
override REVERSED: bool = false;
struct Params { rows: u32, n: u32, first: u32, above: u32, held: u32 }
@group(0) @binding(0) var<storage, read> A: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> B: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn source(i: u32) -> u32 {
  let at = select(i, p.n - 1u - i, REVERSED);
  if (INDEXED) { return index[at]; }
  return at;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  if (at >= p.rows * p.n) { return; }
  let i = source(p.first + at / p.n) - p.above; // wraps to a huge number above A's rows
  if (i < p.held) { B[at] = A[i * p.n + source(at % p.n)]; }
}
