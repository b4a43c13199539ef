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

// u^2 / 3 + u^4 / 5 + ... for u^2 = `square` in [0, 1/9]: 18 terms.
HWY_INLINE VecD AtanhSeries(VecD square) {
  constexpr double kInverseOdd[] = {
      1.0 / 3,  1.0 / 5,  1.0 / 7,  1.0 / 9,  1.0 / 11, 1.0 / 13,
      1.0 / 15, 1.0 / 17, 1.0 / 19, 1.0 / 21, 1.0 / 23, 1.0 / 25,
      1.0 / 27, 1.0 / 29, 1.0 / 31, 1.0 / 33, 1.0 / 35, 1.0 / 37};
  return hn::Mul(square, Polynomial(square, kInverseOdd));
}

// ln(1 + e) for e in [0, 1]: 2 atanh(e / (2 + e)), whose argument is at most
// 1/3.
// Accuracy: relative error under 2^-51, in pairs 2^-56: the series in float64,
// at most 1/27 of the whole.
HWY_INLINE VecD Log1pOfUnit(VecD e) {
  const VecD u = hn::Div(e, hn::Add(hn::Set(Doubles(), 2.0), e));
  const VecD sum = FusedMulAdd(u, AtanhSeries(hn::Mul(u, u)), u);
  return hn::Add(sum, sum);
}
HWY_INLINE VecPair Log1pOfUnit(VecPair e) {
  const VecPair u = Div(e, Add(PairOf(2.0), e));
  const VecD series = AtanhSeries(hn::Mul(u.hi, u.hi));
  const VecPair sum = FastTwoSum(u.hi, FusedMulAdd(u.hi, series, u.lo));
  return Scaled(sum, 2.0);
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
