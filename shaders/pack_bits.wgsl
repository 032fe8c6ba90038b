// pack_bits.wgsl - word[i, w] = bits 32w … 32w + 31 of row i's stream, code j in bits [j·b, (j + 1)·b)
// codes [rows, columns]; words [rows, per_row], the last word filled up with 0. One invocation a word.
override WG: u32 = 64; // 1..256
struct Params { words: u32, per_row: u32, columns: u32, bits: u32 }
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = (wg.x + wg.y * nwg.x) * WG + lane;
  if (at >= p.words) { return; }
  let row = at / p.per_row * p.columns;
  let first_bit = at % p.per_row * 32u;
  var word = 0u;
  for (var j = first_bit / p.bits; j < min(p.columns, (first_bit + 31u) / p.bits + 1u); j++) {
    let bit = j * p.bits;
    // The first code may have begun in the word before.
    if (bit >= first_bit) { word |= codes[row + j] << (bit - first_bit); } else { word |= codes[row + j] >> (first_bit - bit); }
  }
  words[at] = word;
}
