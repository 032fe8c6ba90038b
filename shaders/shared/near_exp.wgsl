// near_exp.wgsl - eˣ to 1 ulp for x ≤ 88; from −87 down it is e⁻⁸⁷; and what it differs from 1 + x by near 0
// After Cephes' expf: WGSL's own exp may be off by 3 + 2|x| ulp, and SwiftShader's errs to one side, which no mean over tokens takes away.
// e^x = 2ⁿ · e^r, |r| ≤ ln 2 / 2; n times the first part of ln 2 is exact.
fn near_exp(exponent: vec4f) -> vec4f {
  let x = select(exponent, vec4f(-87.0), exponent < vec4f(-87.0)); // not max(), which would turn NaN into a number
  let n = round(x * 1.44269504);
  let r = (x - n * 0.693359375) + n * 2.12194440e-4;
  return (1.0 + (r + exp_rest(r))) * bitcast<vec4f>(vec4u(vec4i(n) + 127) << vec4u(23u));
}

// eʳ − 1 − r for |r| ≤ ln 2 / 2.
fn exp_rest(r: vec4f) -> vec4f {
  let tail = ((((1.9875691500e-4 * r + 1.3981999507e-3) * r + 8.3334519073e-3) * r + 4.1665795894e-2) * r + 1.6666665459e-1) * r + 5.0000001201e-1;
  return r * r * tail;
}
