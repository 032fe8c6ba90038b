// super_factors.wgsl - (d, dmin) of each super-block, f16 values: the steps on which its groups' S, and M where it has mins, are nearest to multiples
// fits [blocks, GROUPS] as group_fits makes them; factors [blocks] of two. WITH_MINS: multiples 0 … MOST; otherwise S alone, −MOST … MOST − 1, and d may be negative.
// uses: f16_near
override WG: u32 = 64; // 1..256
override GROUPS: u32 = 8; // of a super-block
override MOST: u32 = 63; // the largest multiple
override WITH_MINS: bool = true; // two factors
struct Params { blocks: u32 }
@group(0) @binding(0) var<storage, read> fits: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> factors: array<vec2f>;
@group(1) @binding(0) var<uniform> p: Params;

var<private> value: array<f32, 16>;
var<private> error_weight: array<f32, 16>;

fn multiple(v: f32, d: f32) -> f32 {
  if (d == 0.0) { return 0.0; }
  if (WITH_MINS) { return clamp(round(v / d), 0.0, f32(MOST)); }
  return clamp(round(v / d), -f32(MOST), f32(MOST) - 1.0);
}

// Least squares for the multiples that d gives.
fn refitted(d: f32) -> f32 {
  var sl = 0.0;
  var sll = 0.0;
  for (var g = 0u; g < GROUPS; g++) {
    let s = multiple(value[g], d);
    sl += error_weight[g] * s * value[g];
    sll += error_weight[g] * s * s;
  }
  return select(d, sl / sll, sll > 0.0);
}

fn error_of(d: f32) -> f32 {
  var sum = 0.0;
  for (var g = 0u; g < GROUPS; g++) {
    let e = value[g] - d * multiple(value[g], d);
    sum += error_weight[g] * e * e;
  }
  return sum;
}

fn step_of() -> f32 {
  var extreme = 0.0;
  for (var g = 0u; g < GROUPS; g++) {
    if (abs(value[g]) > abs(extreme)) { extreme = value[g]; }
  }
  if (extreme == 0.0) { return 0.0; }
  var best = 0.0;
  var least = bitcast<f32>(0x7f7fffffu);
  for (var k = -9; k <= 9; k++) {
    let d = refitted(select(-extreme, extreme, WITH_MINS) / (f32(MOST) + 0.1 * f32(k)));
    let error = error_of(d);
    if (error < least) {
      least = error;
      best = d;
    }
  }
  return f16_near(best);
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let b = (wg.x + wg.y * nwg.x) * WG + lane;
  if (b >= p.blocks) { return; }
  for (var g = 0u; g < GROUPS; g++) {
    value[g] = fits[b * GROUPS + g].x;
    error_weight[g] = fits[b * GROUPS + g].z;
  }
  let d = step_of();
  var dmin = 0.0;
  if (WITH_MINS) {
    for (var g = 0u; g < GROUPS; g++) {
      value[g] = fits[b * GROUPS + g].y;
      error_weight[g] = fits[b * GROUPS + g].w;
    }
    dmin = step_of();
  }
  factors[b] = vec2f(d, dmin);
}
