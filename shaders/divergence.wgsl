// divergence.wgsl - what KL(p‖q) is made of: p = softmax(x), q = softmax(y), over a vocabulary seen in slices
// state [T, 11]: (a, x_a, y_a, b, y_b, P, Q, D, G, target's x, target's y), as `divergenceUpdate` in ops.ts says; x, y [T, n] of the vocabulary entries offset …; targets [T].
// Where p and q are near each other, Σ p·(ln p − ln q) is a small difference of large sums. Every term of G is small and ≥ 0 instead, so that little cancels.
// uses: near_exp, row_reduction
alias Partial = vec4f;
struct Params { rows: u32, n: u32, offset: u32 }
@group(0) @binding(0) var<storage, read_write> state: array<f32>;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> y: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<u32>;
@group(1) @binding(0) var<uniform> p: Params;

const least = -3.4028234e38;
const run = 64u; // terms of a short sum

// e^δ − 1 − δ, times a weight; `product` is weight · e^δ.
fn rest(weight: vec4f, product: vec4f, delta: vec4f) -> vec4f {
  return select(product - weight * (1.0 + delta), weight * exp_rest(delta), abs(delta) <= vec4f(0.34657359));
}

// (P, Q, D, G) seen from other maxima: x_a lower by `fall`, r by `drop`, and δ larger by `shift`.
fn moved(sums: vec4f, fall: f32, drop: f32, shift: f32) -> vec4f {
  let e = near_exp(vec4f(fall, drop, 0.0, 0.0));
  let over = rest(vec4f(e.x), vec4f(e.y), vec4f(shift)).x; // fall + shift = drop
  let rise = e.x * shift + over;
  return vec4f(e.x * sums.x, e.y * sums.y, e.x * (sums.z + shift * sums.x), e.y * sums.w + over * sums.x + rise * sums.z);
}

fn of_four(v: vec4f) -> f32 { return (v.x + v.y) + (v.z + v.w); }

@compute @workgroup_size(LANES, ROWS)
fn main(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) nwg: vec3u, @builtin(local_invocation_id) id: vec3u) {
  let row = (wg.x + wg.y * nwg.x) * ROWS + id.y;
  let start = row * p.n;
  let live = row < p.rows;
  let n = select(0u, p.n, live); // a row beyond the last may not return before the barriers
  let at = 11u * row;

  // The largest x and y, and of the entries that have them the first.
  var mine = vec2f(least);
  var column_of = vec2u();
  for (var j = id.x; j < n; j += LANES) {
    let here = vec2f(x[start + j], y[start + j]);
    column_of = select(column_of, vec2u(j), here > mine);
    mine = select(mine, here, here > mine);
  }
  let tops = row_largest(vec4f(mine, 0.0, 0.0), id).xy;
  let found = -row_largest(vec4f(select(vec2f(least), -vec2f(column_of), mine == tops), 0.0, 0.0), id).xy;

  let before = vec4f(state[at + 5u], state[at + 6u], state[at + 7u], state[at + 8u]);
  let fresh = before.x == 0.0;
  let old_a = vec3f(state[at], state[at + 1u], state[at + 2u]);
  let old_b = vec2f(state[at + 3u], state[at + 4u]);
  let a = select(vec3f(f32(p.offset) + found.x, tops.x, y[start + u32(found.x)]), old_a, !fresh && old_a.y >= tops.x);
  let b = select(vec2f(f32(p.offset) + found.y, tops.y), old_b, !fresh && old_b.y >= tops.y);
  let r = max(a.z, b.y - 40.0);
  let shift = r - a.y;

  var P = vec4f();
  var Q = vec4f();
  var D = vec4f();
  var G = vec4f();
  for (var begin = 0u; begin < n; begin += 4u * LANES * run) {
    var short_p = vec4f();
    var short_q = vec4f();
    var short_d = vec4f();
    var short_g = vec4f();
    let end = min(n, begin + 4u * LANES * run);
    for (var j = begin + id.x; j < end; j += 4u * LANES) {
      let column = j + vec4u(0u, LANES, 2u * LANES, 3u * LANES);
      let is_there = column < vec4u(n);
      let i = start + min(column, vec4u(n - 1u));
      let xs = vec4f(x[i.x], x[i.y], x[i.z], x[i.w]);
      let ys = vec4f(y[i.x], y[i.y], y[i.z], y[i.w]);
      let weight = select(vec4f(), near_exp(xs - a.y), is_there);
      let product = select(vec4f(), near_exp(ys - r), is_there);
      let delta = (ys - xs) - shift;
      short_p += weight;
      short_q += product;
      short_d += weight * delta;
      short_g += rest(weight, product, delta);
    }
    P += short_p;
    Q += short_q;
    D += short_d;
    G += short_g;
  }
  let sums = row_total(vec4f(of_four(P), of_four(Q), of_four(D), of_four(G)), id);
  if (live && id.x == 0u) {
    let old_r = max(old_a.z, old_b.y - 40.0);
    var all = sums;
    if (!fresh) { all += moved(before, old_a.y - a.y, old_r - r, (old_r - old_a.y) - shift); }
    state[at] = a.x;
    state[at + 1u] = a.y;
    state[at + 2u] = a.z;
    state[at + 3u] = b.x;
    state[at + 4u] = b.y;
    state[at + 5u] = all.x;
    state[at + 6u] = all.y;
    state[at + 7u] = all.z;
    state[at + 8u] = all.w;
    let target_column = targets[row] - p.offset; // wraps to a huge number below the slice
    if (target_column < p.n) {
      state[at + 9u] = x[start + target_column];
      state[at + 10u] = y[start + target_column];
    }
  }
}
