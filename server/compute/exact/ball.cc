#include "server/compute/exact/ball.h"

#include <algorithm>
#include <utility>

namespace lossd::compute {

BigFloat SumOfRadii(const BigFloat& a, const BigFloat& b) {
  if (a.sign() == 0) return b;
  if (b.sign() == 0) return a;
  const auto& [low, high] = std::minmax(a, b);
  // A part in 2^60 for each rounding.
  const BigFloat more = BigFloat::PowerOfTwo(high.exponent() - 60);
  if (high.exponent() - low.exponent() > 64) return high + more;
  return (high + low).Truncated(64) + more;
}

Ball Shortened(const BigFloat& exact, const BigFloat& radius, int64_t bits) {
  if (exact.sign() == 0) return {exact, radius};
  return {
      exact.Truncated(bits),
      SumOfRadii(radius, BigFloat::PowerOfTwo(exact.exponent() + 2 - bits))};
}

namespace {

// |x| in few bits, rounded up. REQUIRES: x is not 0.
BigFloat SizeOf(const BigFloat& x) {
  return Abs(x).Truncated(64) + BigFloat::PowerOfTwo(x.exponent() - 60);
}

}  // namespace

Ball Exactly(BigFloat value) { return {std::move(value), BigFloat()}; }

Ball Add(const Ball& a, const Ball& b, int64_t bits) {
  const BigFloat radius = SumOfRadii(a.radius, b.radius);
  if (a.middle.sign() == 0) return {b.middle, radius};
  if (b.middle.sign() == 0) return {a.middle, radius};
  // Where one cannot be seen beside the other the sum would be long.
  const int64_t distance = a.middle.exponent() - b.middle.exponent();
  if (distance > 2 * bits) {
    return {a.middle, SumOfRadii(radius, SizeOf(b.middle))};
  }
  if (distance < -2 * bits) {
    return {b.middle, SumOfRadii(radius, SizeOf(a.middle))};
  }
  return Shortened(a.middle + b.middle, radius, bits);
}

BigFloat ProductOfSizes(const BigFloat& a, const BigFloat& b) {
  if (a.sign() == 0 || b.sign() == 0) return BigFloat();
  return SizeOf(SizeOf(a) * SizeOf(b));
}

Ball Multiply(const Ball& a, const Ball& b, int64_t bits) {
  const BigFloat radius =
      SumOfRadii(ProductOfSizes(a.middle, b.radius),
                 SumOfRadii(ProductOfSizes(a.radius, b.middle),
                            ProductOfSizes(a.radius, b.radius)));
  return Shortened(a.middle * b.middle, radius, bits);
}

Ball Divide(const Ball& a, const Ball& b, int64_t bits) {
  const BigFloat quotient = Quotient(a.middle, b.middle, bits);
  // Twice (radius of a + |quotient| radius of b) / |b|.
  const BigFloat radius =
      SumOfRadii(a.radius, ProductOfSizes(quotient, b.radius));
  return Shortened(
      quotient,
      ProductOfSizes(radius, BigFloat::PowerOfTwo(1 - b.middle.exponent())),
      bits);
}

int SignOf(const Ball& ball) {
  return Abs(ball.middle) > ball.radius ? ball.middle.sign() : 0;
}

}  // namespace lossd::compute
