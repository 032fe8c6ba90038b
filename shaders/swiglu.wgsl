// swiglu.wgsl - y = gate / (1 + exp(−gate)) · up
// gate, up, y: n4 vectors of 4 floats; the last one may be partly padding.
// uses: near_exp
override WG: u32 = 64; // 1..256
struct Params { n4: u32 }
@group(0) @binding(0) var<storage, read> gate: array<vec4f>;
@group(0) @binding(1) var<storage, read> up: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let i = (wg.x + wg.y * nwg.x) * WG + lane;
  if (i >= p.n4) { return; }
  // exp overflows f32 beyond 88; silu is below 1e-32 from −80 on.
  let g = select(gate[i], vec4f(-80.0), gate[i] < vec4f(-80.0));
  y[i] = g / (1.0 + near_exp(-g)) * up[i];
}
