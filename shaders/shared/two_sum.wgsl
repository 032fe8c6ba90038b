// two_sum.wgsl - a + b = high + low, high the rounded sum: exact, whichever of the two is larger (Knuth)
struct Two { high: f32, low: f32 }

fn two_sum(a: f32, b: f32) -> Two {
  let sum = a + b;
  let of_b = sum - a;
  return Two(sum, (a - (sum - of_b)) + (b - of_b));
}
