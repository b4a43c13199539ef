#ifndef LOSSD_SERVER_COMPUTE_EXACT_SUM_H_
#define LOSSD_SERVER_COMPUTE_EXACT_SUM_H_

#include <array>
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

  void Carry();

  // digits_[k] counts 2^(32 k - 1074). An addition moves each by less than
  // 2^32, so carries are due after 2^30.
  std::array<int64_t, kDigits> digits_ = {};
  int64_t additions_ = 0;
  double not_finite_ = 0.0;  // sum of the terms that are not finite
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_SUM_H_
