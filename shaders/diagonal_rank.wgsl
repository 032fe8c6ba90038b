// diagonal_rank.wgsl - index[rank(i)] = i, rank(i) = #{j: H[j, j] > H[i, i], or equal and j < i}
// diagonal (of H, where 0 stands for `mean`), index [n]: a stable sort by counting, one invocation an input.
override WG: u32 = 64; // 1..256
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> diagonal: array<f32>;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

fn size(j: u32) -> f32 { return select(diagonal[j], mean[0], diagonal[j] == 0.0); }

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n) { return; }
  let mine = size(i);
  var rank = 0u;
  for (var j = 0u; j < p.n; j++) {
    let other = size(j);
    if (other > mine || (other == mine && j < i)) { rank++; }
  }
  index[rank] = i;
}
