// super_points.wgsl - S = d·s and M = dmin·m of each group, or M = S·half: s and m nearest to the group's fit, moved by one where that lessens its error
// W [rows, n]; fits, factors as group_fits and super_factors make them; scales, zeros [rows, n/SIZE]. Products of f16 values and small integers: exact.
// uses: fitting
override WG: u32 = 64; // 1..256
override GROUPS: u32 = 8; // of a super-block
override BELOW: u32 = 0; // s and m are from −BELOW
override MOST: u32 = 63; // to MOST
override WITH_MINS: bool = true; // M = dmin·m
struct Params { groups: u32, n: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> importance: array<f32>;
@group(0) @binding(2) var<storage, read> fits: array<vec4f>;
@group(0) @binding(3) var<storage, read> factors: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> scales: array<f32>;
@group(0) @binding(5) var<storage, read_write> zeros: array<f32>;
@group(1) @binding(0) var<uniform> p: Params;

fn multiple(v: f32, d: f32) -> i32 {
  if (d == 0.0) { return 0; }
  return i32(clamp(round(v / d), -f32(BELOW), f32(MOST)));
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = (wg.x + wg.y * nwg.x) * WG + lane;
  if (g >= p.groups) { return; }
  load_group(g * SIZE, (g * SIZE) % p.n);
  let f = factors[g / GROUPS];
  let s = multiple(fits[g].x, f.x);
  let m = multiple(fits[g].y, f.y);
  let half = f32((TOP + 1u) / 2u);
  var S = f.x * f32(s);
  var M = select(S * half, f.y * f32(m), WITH_MINS);
  var least = error_of(S, M);
  let around = select(0, 1, WITH_MINS);
  for (var i = -1; i <= 1; i++) {
    for (var j = -around; j <= around; j++) {
      if (min(s + i, m + j) < -i32(BELOW) || max(s + i, m + j) > i32(MOST)) { continue; }
      let S1 = f.x * f32(s + i);
      let M1 = select(S1 * half, f.y * f32(m + j), WITH_MINS);
      let error = error_of(S1, M1);
      if (error < least) {
        least = error;
        S = S1;
        M = M1;
      }
    }
  }
  scales[g] = S;
  zeros[g] = M;
}
