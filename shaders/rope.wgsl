// rope.wgsl - (y1, y2) = (x1·cos − x2·sin, x2·cos + x1·sin), x1 and x2 the halves of a head
// x, y [T, columns], columns a multiple of 2·half_dim; cosine, sine [length, half_dim]; row t is at position (first + t) mod length. One invocation a pair.
override WG: u32 = 64; // 1..256
struct Params { pairs: u32, columns: u32, half_dim: u32, length: u32, first: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> cosine: array<f32>;
@group(0) @binding(2) var<storage, read> sine: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.pairs) { return; }
  let row_pairs = p.columns / 2u;
  let t = i / row_pairs;
  let within = i % p.half_dim;
  let at = t * p.columns + (i % row_pairs) / p.half_dim * 2u * p.half_dim + within;
  let angle = ((p.first + t) % p.length) * p.half_dim + within;
  let c = cosine[angle];
  let s = sine[angle];
  let x1 = x[at];
  let x2 = x[at + p.half_dim];
  y[at] = x1 * c - x2 * s;
  y[at + p.half_dim] = x2 * c + x1 * s;
}
