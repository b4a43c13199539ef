// Scalar double-double arithmetic: about 104 bits. Included once per
// instruction set, so that std::fma is one instruction where there is one.
// Source: T. J. Dekker, Numer. Math. 18 (1971); D. E. Knuth, TAOCP 2, 4.2.2;
// M. Joldes, J.-M. Muller, V. Popescu, ACM TOMS 44 (2017) for the error bounds.
#if defined(LOSSD_SERVER_COMPUTE_EXACT_DOUBLE_DOUBLE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_SERVER_COMPUTE_EXACT_DOUBLE_DOUBLE_INL_H_
#undef LOSSD_SERVER_COMPUTE_EXACT_DOUBLE_DOUBLE_INL_H_
#else
#define LOSSD_SERVER_COMPUTE_EXACT_DOUBLE_DOUBLE_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace lossd::compute::HWY_NAMESPACE {

// The unevaluated sum hi + lo, |lo| <= ulp(hi) / 2.
struct Pair {
  double hi = 0.0;
  double lo = 0.0;
};

// a + b, exactly (Knuth).
HWY_INLINE Pair TwoSum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

// a + b, exactly, where |a| >= |b| or a = 0 (Dekker).
HWY_INLINE Pair FastTwoSum(double a, double b) {
  const double sum = a + b;
  return {sum, b - (sum - a)};
}

// a * b, exactly, unless the error underflows.
HWY_INLINE Pair TwoProduct(double a, double b) {
  const double product = a * b;
  return {product, std::fma(a, b, -product)};
}

// Relative error under 2^-103.
HWY_INLINE Pair operator+(Pair a, Pair b) {
  Pair sum = TwoSum(a.hi, b.hi);
  const Pair low = TwoSum(a.lo, b.lo);
  sum = FastTwoSum(sum.hi, sum.lo + low.hi);
  return FastTwoSum(sum.hi, sum.lo + low.lo);
}
HWY_INLINE Pair operator-(Pair a) { return {-a.hi, -a.lo}; }
HWY_INLINE Pair operator-(Pair a, Pair b) { return a + -b; }

// Relative error under 2^-103.
HWY_INLINE Pair operator*(Pair a, Pair b) {
  const Pair product = TwoProduct(a.hi, b.hi);
  const double cross = std::fma(a.hi, b.lo, a.lo * b.hi);
  return FastTwoSum(product.hi, product.lo + cross);
}

// Relative error under 2^-100.
HWY_INLINE Pair operator/(Pair a, Pair b) {
  const double first = a.hi / b.hi;
  const Pair rest = a - b * Pair{first, 0.0};
  const double second = (rest.hi + rest.lo) / b.hi;
  return FastTwoSum(first, second);
}

// The pair times a power of two, exactly.
HWY_INLINE Pair Scaled(Pair a, double power_of_two) {
  return {a.hi * power_of_two, a.lo * power_of_two};
}

}  // namespace lossd::compute::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
