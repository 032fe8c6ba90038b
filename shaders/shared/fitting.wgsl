// fitting.wgsl - a group's weights, the weights of their squared errors, and Σ error_weight·(w − (S·code − M))² with each code the nearest
// The kernel names W, importance (only if IMPORTANCE), SIZE and TOP. Which of several near errors is least may depend on the adapter; that it is near may not.
override SIZE: u32 = 32; // inputs of a group, 64 at most
override SPAN: u32 = 32; // inputs of a block, whose mean square is part of an error's weight
override TOP: u32 = 15; // the largest code
override IMPORTANCE: bool = false; // errors are weighted by the inputs too
override DOUBLE: bool = false; // σ² is taken twice

var<private> x: array<f32, 64>;
var<private> error_weight: array<f32, 64>;

// The group that starts at element `start` of W, which is input `input` of its row. Blocks start at multiples of SPAN.
fn load_group(start: u32, input: u32) {
  let block = start - start % SPAN;
  var square = 0.0;
  for (var i = 0u; i < SPAN; i++) { square += W[block + i] * W[block + i]; }
  let mean = square / f32(SPAN);
  for (var i = 0u; i < SIZE; i++) {
    let w = W[start + i];
    x[i] = w;
    if (IMPORTANCE) {
      error_weight[i] = importance[input + i] * sqrt(select(mean, 2.0 * mean, DOUBLE) + w * w);
    } else {
      error_weight[i] = sqrt(mean) + abs(w);
    }
  }
}

fn near_code(w: f32, S: f32, M: f32) -> f32 {
  if (S == 0.0) { return 0.0; }
  return clamp(round((w + M) / S), 0.0, f32(TOP));
}

fn error_of(S: f32, M: f32) -> f32 {
  var sum = 0.0;
  for (var i = 0u; i < SIZE; i++) {
    let d = x[i] - (S * near_code(x[i], S, M) - M);
    sum += error_weight[i] * d * d;
  }
  return sum;
}
