// swiglu.wgsl - y = gate / (1 + exp(−gate)) · up
// gate, up, y: n4 vectors of 4 floats; the last one may be partly padding.
override WG: u32 = 64; // 1..256
struct Params { n4: u32 }
@group(0) @binding(0) var<storage, read> gate: array<vec4f>;
@group(0) @binding(1) var<storage, read> up: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

// exp to 1 ulp for x ≤ 88 (from −87 down it is e⁻⁸⁷), after Cephes' expf: WGSL's own may be off by 3 + 2|x| ulp, and SwiftShader's errs to one side, which no
// mean over tokens takes away. e^x = 2ⁿ · e^r, |r| ≤ ln 2 / 2; n times the first part of ln 2 is exact. Not max(): it would turn NaN into a number.
fn near_exp(exponent: vec4f) -> vec4f {
  let x = select(exponent, vec4f(-87.0), exponent < vec4f(-87.0));
  let n = round(x * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4;
  let tail = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1;
  return (1.0 + (r + r * r * tail)) * bitcast<vec4f>(vec4u(vec4i(n) + 127) << vec4u(23u));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n4) { return; }
  // exp overflows f32 beyond 88; silu is below 1e-32 from −80 on.
  let g = select(gate[i], vec4f(-80.0), gate[i] < vec4f(-80.0));
  y[i] = g / (1.0 + near_exp(-g)) * up[i];
}
