// matmul_params.wgsl - what both matmul kernels are told: C = [C or D] + alpha · A·B
// Forms: NT A [m, k], B [n, k] (x·Wᵀ); NN A [m, k], B [k, n]; TN A [k, m], B [k, n] (xᵀx). C, D [m, n].
// All but the form is told at run time, so that fewer kernels have to be compiled.
// Every operand is a view: start + window · its window step + head · its head step + row · stride, in floats; a batch z is window z / heads, head z mod heads,
// and B's head is head / group (grouped-query attention). Steps may wrap round 2³². Rows first_row … of `tiles` tiles are computed by this dispatch.
override FORM: u32 = 0; // 0 NT, 1 NN, 2 TN
struct Params {
  m: u32, n: u32, k: u32, first_row: u32, tiles: u32, first_batch: u32, batches: u32, heads: u32, group: u32,
  a: u32, a_stride: u32, a_window: u32, a_head: u32,
  b: u32, b_stride: u32, b_window: u32, b_head: u32,
  c: u32, c_stride: u32, c_window: u32, c_head: u32,
  d: u32, d_stride: u32,
  add: u32, // 0 C = αAB, 1 C += αAB, 2 C = D + αAB
  goes_on: u32, // 1: the sum begins with what C holds, a product of what came before in k
  part: u32, // 0 all, 1 tiles on or below the diagonal, 2 A is zero right of its diagonal, 3 B above its own, 4 B below it
  alpha: f32,
}
@group(1) @binding(0) var<uniform> p: Params;

struct Starts { a: u32, b: u32, c: u32 }

// Where the operands of this dispatch's z-th batch start.
fn starts(z: u32) -> Starts {
  let window = (p.first_batch + z) / p.heads;
  let head = (p.first_batch + z) % p.heads;
  return Starts(
    p.a + window * p.a_window + head * p.a_head,
    p.b + window * p.b_window + head / p.group * p.b_head,
    p.c + window * p.c_window + head * p.c_head,
  );
}
