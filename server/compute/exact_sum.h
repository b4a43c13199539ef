#ifndef LOSSD_SERVER_COMPUTE_EXACT_SUM_H_
#define LOSSD_SERVER_COMPUTE_EXACT_SUM_H_

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

namespace lossd::compute {

// A sum of doubles that is never rounded: so it does not matter in which order,
// or in which parts, its terms are added.
//
// A fixed-point number of 2,240 bits, in digits of 32 bits that carry late.
// Source: R. M. Neal, "Fast exact summation using small and large
// superaccumulators", arXiv:1505.05571 (2015).
class ExactSum {
 public:
  // inf and NaN among the terms give what plain addition gives.
  void Add(double term);
  void Add(const ExactSum& other);

  // The double nearest to the sum, ties to even.
  double Rounded() const;

 private:
  static constexpr int kDigits = 70;
  static constexpr int64_t kDigitMask = 0xffffffff;
  static constexpr int64_t kMaxAdditions = int64_t{1} << 30;

  void Carry();

  // digits_[k] counts 2^(32 k - 1074). An addition moves each by less than
  // 2^32, so carries are due after 2^30.
  std::array<int64_t, kDigits> digits_ = {};
  int64_t additions_ = 0;
  double not_finite_ = 0.0;  // sum of the terms that are not finite
};

// Inline: it is called for every row.
inline void ExactSum::Add(double term) {
  const auto bits = std::bit_cast<uint64_t>(term);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  if (exponent == 0x7ff) {
    not_finite_ += term;
    return;
  }
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  int position = 0;  // of the mantissa's last bit, from 2^-1074 on
  if (exponent > 0) {
    mantissa |= uint64_t{1} << 52;
    position = exponent - 1;
  }
  const int first = position / 32;
  const int shift = position % 32;
  // 53 bits, shifted by up to 31, reach into three digits.
  const int64_t parts[] = {
      static_cast<int64_t>(mantissa << shift & kDigitMask),
      static_cast<int64_t>(mantissa >> (32 - shift) & kDigitMask),
      shift == 0 ? 0 : static_cast<int64_t>(mantissa >> (64 - shift))};
  const int64_t sign = std::signbit(term) ? -1 : 1;
  for (int k = 0; k < 3; ++k) digits_[first + k] += sign * parts[k];
  if (++additions_ >= kMaxAdditions) Carry();
}

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_SUM_H_
