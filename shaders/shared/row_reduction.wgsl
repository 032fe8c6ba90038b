// row_reduction.wgsl - the largest, or the sum, of the values that a row's LANES invocations hold
// The kernel names their type (alias Partial = f32, or a vector) and runs in workgroups of LANES × ROWS; id is its local_invocation_id. All of a workgroup must
// call alike. With one lane a row there is nothing to share, and no barrier: those are dear on software adapters.
override LANES: u32 = 64; // power of two; the invocations of a row
override ROWS: u32 = 1; // rows of a workgroup; LANES · ROWS in 1..256

var<workgroup> partial: array<Partial, LANES * ROWS>;

fn row_largest(value: Partial, id: vec3u) -> Partial {
  if (LANES == 1u) { return value; }
  let at = id.y * LANES + id.x;
  workgroupBarrier(); // all have read the last result
  partial[at] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (id.x < half) { partial[at] = max(partial[at], partial[at + half]); }
  }
  workgroupBarrier();
  return partial[id.y * LANES];
}

fn row_total(value: Partial, id: vec3u) -> Partial {
  if (LANES == 1u) { return value; }
  let at = id.y * LANES + id.x;
  workgroupBarrier(); // all have read the last result
  partial[at] = value;
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (id.x < half) { partial[at] += partial[at + half]; }
  }
  workgroupBarrier();
  return partial[id.y * LANES];
}
