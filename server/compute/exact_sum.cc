#include "server/compute/exact_sum.h"

#include <bit>
#include <cmath>

namespace lossd::compute {

void ExactSum::Add(const ExactSum& other) {
  for (int k = 0; k < kDigits; ++k) digits_[k] += other.digits_[k];
  not_finite_ += other.not_finite_;
  additions_ += other.additions_;
  if (additions_ >= kMaxAdditions) Carry();
}

// Brings all digits but the last, which keeps the sign, into [0, 2^32).
void ExactSum::Carry() {
  int64_t carry = 0;
  for (int k = 0; k + 1 < kDigits; ++k) {
    const int64_t digit = digits_[k] + carry;
    carry = digit >> 32;
    digits_[k] = digit & kDigitMask;
  }
  digits_[kDigits - 1] += carry;
  additions_ = 1;
}

double ExactSum::Rounded() const {
  if (not_finite_ != 0.0 || std::isnan(not_finite_)) return not_finite_;
  ExactSum sum = *this;
  sum.Carry();
  const bool negative = sum.digits_[kDigits - 1] < 0;
  if (negative) {
    for (int64_t& digit : sum.digits_) digit = -digit;
    sum.Carry();
  }
  int top = kDigits - 1;
  while (top > 0 && sum.digits_[top] == 0) --top;
  // The upper digits, at least 65 bits of them, as an integer with a last bit
  // that tells of all below: rounding that once rounds the sum.
  if (top < 2) {
    // At most 64 bits: subnormal numbers and the least normal ones, exact where
    // they have no more than 53.
    const uint64_t size = static_cast<uint64_t>(sum.digits_[1]) << 32 |
                          static_cast<uint64_t>(sum.digits_[0]);
    const double value = std::ldexp(static_cast<double>(size), -1074);
    return negative ? -value : value;
  }
  uint64_t high = static_cast<uint64_t>(sum.digits_[top]) << 32 |
                  static_cast<uint64_t>(sum.digits_[top - 1]);
  auto low = static_cast<uint64_t>(sum.digits_[top - 2]);
  const int lead = std::countl_zero(high);  // below 32
  if (lead > 0) high = high << lead | low >> (32 - lead);
  low = low << lead & kDigitMask;
  bool more = low != 0;
  for (int k = 0; k < top - 2; ++k) more |= sum.digits_[k] != 0;
  if (more) high |= 1;
  const double value =
      std::ldexp(static_cast<double>(high), 32 * (top - 1) - lead - 1074);
  return negative ? -value : value;
}

}  // namespace lossd::compute
