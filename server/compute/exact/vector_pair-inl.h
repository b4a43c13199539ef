// Arithmetic on vectors of double-doubles. Included once per instruction set.
// Sources and bounds: double_double-inl.h.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_VECTOR_PAIR_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_PAIR_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_VECTOR_PAIR_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_VECTOR_PAIR_INL_H_
#endif

#include "hwy/highway.h"
#include "server/compute/exact/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

HWY_INLINE VecPair PairOf(double value) {
  const Doubles d;
  return {hn::Set(d, value), hn::Zero(d)};
}
template <typename ScalarPair>
HWY_INLINE VecPair Broadcast(ScalarPair value) {
  const Doubles d;
  return {hn::Set(d, value.hi), hn::Set(d, value.lo)};
}

// Error under 2^-104 of the larger term.
HWY_INLINE VecPair Add(VecPair a, VecPair b) {
  const VecPair sum = TwoSum(a.hi, b.hi);
  return FastTwoSum(sum.hi, hn::Add(sum.lo, hn::Add(a.lo, b.lo)));
}
HWY_INLINE VecPair Neg(VecPair a) { return {hn::Neg(a.hi), hn::Neg(a.lo)}; }

// Relative error under 2^-101.
HWY_INLINE VecPair Mul(VecPair a, VecPair b) {
  const VecPair product = TwoProduct(a.hi, b.hi);
  const VecD cross = FusedMulAdd(a.hi, b.lo, hn::Mul(a.lo, b.hi));
  return FastTwoSum(product.hi, hn::Add(product.lo, cross));
}

// Relative error under 2^-100.
HWY_INLINE VecPair Div(VecPair a, VecPair b) {
  const VecD first = hn::Div(a.hi, b.hi);
  const VecD rest = FusedMulAdd(hn::Neg(first), b.hi, a.hi);  // exact
  const VecD low = FusedMulAdd(hn::Neg(first), b.lo, hn::Add(rest, a.lo));
  return FastTwoSum(first, hn::Div(low, b.hi));
}

// Times a power of two.
HWY_INLINE VecPair Scaled(VecPair a, double power_of_two) {
  const VecD factor = hn::Set(Doubles(), power_of_two);
  return {hn::Mul(a.hi, factor), hn::Mul(a.lo, factor)};
}

HWY_INLINE VecPair Select(hn::Mask<Doubles> mask, VecPair yes, VecPair no) {
  return {hn::IfThenElse(mask, yes.hi, no.hi),
          hn::IfThenElse(mask, yes.lo, no.lo)};
}
HWY_INLINE VecPair ZeroUnless(hn::Mask<Doubles> mask, VecPair a) {
  return {hn::IfThenElseZero(mask, a.hi), hn::IfThenElseZero(mask, a.lo)};
}

// hi + lo, rounded once; of an infinite pair hi.
HWY_INLINE VecD Rounded(VecPair a) {
  const Doubles d;
  return hn::IfThenElse(hn::Lt(hn::Abs(a.hi), hn::Inf(d)), hn::Add(a.hi, a.lo),
                        a.hi);
}

// atanh(u) / u - 1 = u^2 / 3 + u^4 / 5 + ... for w = u^2 in [0, 1/9]: minimax,
// by Estrin's scheme, whose chain is shorter than Horner's.
// Accuracy: under 2^-56.9 of atanh(u) / u, without roundings.
HWY_INLINE VecD AtanhSeries(VecD w) {
  constexpr double kC[] = {0x1.5555555555555p-2, 0x1.999999999a3ddp-3,
                           0x1.24924923d44c6p-3, 0x1.c71c727143318p-4,
                           0x1.745cf0b0e03bdp-4, 0x1.3b18b294bebf9p-4,
                           0x1.10ac75dc602b1p-4, 0x1.eb905e8575054p-5,
                           0x1.687a6e7c95176p-5, 0x1.4b0a26c5f2aefp-4};
  const Doubles d;
  const auto linear = [&](int i) HWY_ATTR {
    return FusedMulAdd(w, hn::Set(d, kC[i + 1]), hn::Set(d, kC[i]));
  };
  const VecD w2 = hn::Mul(w, w), w4 = hn::Mul(w2, w2);
  const VecD low = FusedMulAdd(w2, linear(2), linear(0));
  const VecD middle = FusedMulAdd(w2, linear(6), linear(4));
  const VecD high = FusedMulAdd(w4, linear(8), middle);
  return hn::Mul(w, FusedMulAdd(w4, high, low));
}

// ln(1 + e) for e in [0, 1]: 2 atanh(e / (2 + e)), whose argument is at most
// 1/3.
// Accuracy: relative error under 2^-56: the series in float64, at most 1/27 of
// the whole.
HWY_INLINE VecPair Log1pOfUnit(VecPair e) {
  const VecPair u = Div(e, Add(PairOf(2.0), e));
  const VecD series = AtanhSeries(hn::Mul(u.hi, u.hi));
  const VecPair sum = FastTwoSum(u.hi, FusedMulAdd(u.hi, series, u.lo));
  return Scaled(sum, 2.0);
}

// ln(1 + e) and 1 / (1 + e) for e in [0, 1], by one division for both.
// Accuracy: relative errors under 2^-50.
struct Softplus {
  VecD log;
  VecD inverse;
};
HWY_INLINE Softplus SoftplusOfUnit(VecD e) {
  const Doubles d;
  const VecD one_e = hn::Add(hn::Set(d, 1.0), e);
  const VecD two_e = hn::Add(hn::Set(d, 2.0), e);
  const VecD both = hn::Div(hn::Set(d, 1.0), hn::Mul(one_e, two_e));
  const VecD u = hn::Mul(e, hn::Mul(one_e, both));
  const VecD half = FusedMulAdd(u, AtanhSeries(hn::Mul(u, u)), u);
  return {hn::Add(half, half), hn::Mul(two_e, both)};
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
