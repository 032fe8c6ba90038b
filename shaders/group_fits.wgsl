// group_fits.wgsl - S and M of each group for which Σ error_weight·(w − ŵ)² is small, and how much squared errors of S and M weigh: (S, M, Σ error_weight·code², Σ error_weight)
// Several steps are tried, each refitted by least squares to the codes that it gives. SIGNED: ŵ = S·(code − half), S of either sign; otherwise S, M ≥ 0, and the
// range holds 0. One invocation a group; W [rows, n], fits [rows, n/SIZE] of four.
// uses: fitting
override WG: u32 = 64; // 1..256
override SIGNED: bool = false;
struct Params { groups: u32, n: u32 }
@group(0) @binding(0) var<storage, read> W: array<f32>;
@group(0) @binding(1) var<storage, read> importance: array<f32>;
@group(0) @binding(2) var<storage, read_write> fits: array<vec4f>;
@group(1) @binding(0) var<uniform> p: Params;

struct Fit { S: f32, M: f32 }

// Least squares for the codes of a fit; S = 0 where they determine none.
fn refitted(f: Fit) -> Fit {
  var all = 0.0; // of the error weights alone, with w, with codes, with their squares, with codes and w
  var sx = 0.0;
  var sl = 0.0;
  var sll = 0.0;
  var sxl = 0.0;
  for (var i = 0u; i < SIZE; i++) {
    var code = near_code(x[i], f.S, f.M);
    if (SIGNED) { code -= f32((TOP + 1u) / 2u); }
    all += error_weight[i];
    sx += error_weight[i] * x[i];
    sl += error_weight[i] * code;
    sll += error_weight[i] * code * code;
    sxl += error_weight[i] * code * x[i];
  }
  if (SIGNED) {
    let S = select(f.S, sxl / sll, sll > 0.0);
    return Fit(S, S * f32((TOP + 1u) / 2u));
  }
  let determinant = all * sll - sl * sl;
  if (!(determinant > 0.0)) { return Fit(0.0, 0.0); }
  let offset = (sll * sx - sl * sxl) / determinant;
  var fit = Fit(sxl / sll, 0.0);
  if (offset <= 0.0) { fit = Fit((all * sxl - sx * sl) / determinant, -offset); }
  if (!(fit.S > 0.0)) { return Fit(0.0, 0.0); }
  return fit;
}

fn affine_fit() -> Fit {
  var low = 0.0;
  var high = x[0];
  for (var i = 0u; i < SIZE; i++) {
    low = min(low, x[i]);
    high = max(high, x[i]);
  }
  if (high <= low) { return Fit(0.0, -low); }
  var best = Fit((high - low) / f32(TOP), -low);
  var least = error_of(best.S, best.M);
  for (var k = 0u; k < 37u; k++) {
    let steps = f32(TOP) - 0.9 + 0.05 * f32(k);
    let fit = refitted(Fit((high - low) / steps, -low));
    if (fit.S == 0.0) { continue; }
    let error = error_of(fit.S, fit.M);
    if (error < least) {
      least = error;
      best = fit;
    }
  }
  return best;
}

fn signed_fit() -> Fit {
  var extreme = 0.0;
  for (var i = 0u; i < SIZE; i++) {
    if (abs(x[i]) > abs(extreme)) { extreme = x[i]; }
  }
  if (extreme == 0.0) { return Fit(0.0, 0.0); }
  let half = f32((TOP + 1u) / 2u);
  var best = Fit(0.0, 0.0);
  var least = bitcast<f32>(0x7f7fffffu);
  for (var k = -9; k <= 9; k++) {
    let S = -extreme / (half + 0.1 * f32(k));
    let fit = refitted(Fit(S, S * half));
    let error = error_of(fit.S, fit.M);
    if (error < least) {
      least = error;
      best = fit;
    }
  }
  return best;
}

@compute @workgroup_size(WG)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_index) lane: u32) {
  let g = (wg.x + wg.y * nwg.x) * WG + lane;
  if (g >= p.groups) { return; }
  load_group(g * SIZE, (g * SIZE) % p.n);
  var fit = Fit(0.0, 0.0);
  if (SIGNED) { fit = signed_fit(); } else { fit = affine_fit(); }
  var of_scale = 0.0;
  var of_min = 0.0;
  for (var i = 0u; i < SIZE; i++) {
    var code = near_code(x[i], fit.S, fit.M);
    if (SIGNED) { code -= f32((TOP + 1u) / 2u); }
    of_scale += error_weight[i] * code * code;
    of_min += error_weight[i];
  }
  fits[g] = vec4f(fit.S, fit.M, of_scale, of_min);
}
