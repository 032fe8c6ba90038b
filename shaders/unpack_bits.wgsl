// unpack_bits.wgsl - code[i, j] = bits [j·b, (j + 1)·b) of row i's stream of 32-bit words
// words [rows, per_row]; codes: n of them in rows of `columns`. One invocation a code, which may straddle two words.
override WG: u32 = 64; // 1..256
struct Params { n: u32, per_row: u32, columns: u32, bits: u32 }
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read_write> codes: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  if (at >= p.n) { return; }
  let bit = at % p.columns * p.bits;
  let word = at / p.columns * p.per_row + bit / 32u;
  let shift = bit % 32u;
  var value = words[word] >> shift;
  if (shift + p.bits > 32u) { value |= words[word + 1u] << (32u - shift); }
  codes[at] = value & ((1u << p.bits) - 1u);
}
