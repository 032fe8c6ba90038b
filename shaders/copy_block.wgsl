// copy_block.wgsl - y[y_start + i·y_stride + j·y_step] = x[x_start + i·x_stride + j]
// x and y are panels of matrices, of floats or of other 32 bits; n elements in rows of `columns`. ADD: floats, y += x.
override WG: u32 = 64; // 1..256
override ADD: bool = false;
struct Params { n: u32, columns: u32, x_start: u32, x_stride: u32, y_start: u32, y_stride: u32, y_step: u32 }
@group(0) @binding(0) var<storage, read> x: array<u32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  if (at >= p.n) { return; }
  let i = at / p.columns;
  let j = at % p.columns;
  let out = p.y_start + i * p.y_stride + j * p.y_step;
  let value = x[p.x_start + i * p.x_stride + j];
  if (ADD) { y[out] = bitcast<u32>(bitcast<f32>(y[out]) + bitcast<f32>(value)); } else { y[out] = value; }
}
