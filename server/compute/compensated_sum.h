#ifndef LOSSD_SERVER_COMPUTE_COMPENSATED_SUM_H_
#define LOSSD_SERVER_COMPUTE_COMPENSATED_SUM_H_

#include <cmath>

namespace lossd::compute {

// A running sum of doubles that keeps its rounding errors.
//
// Accuracy: for n terms of one sign a relative error under 2^-52 + n^2 2^-106.
// inf and NaN among the terms give what plain addition gives.
// Source: A. Neumaier, ZAMM 54 (1974); the errors by Knuth's two-sum.
class CompensatedSum {
 public:
  void Add(double term) {
    const double sum = sum_ + term;
    const double part = sum - sum_;
    error_ += (sum_ - (sum - part)) + (term - part);
    sum_ = sum;
  }

  double Total() const { return std::isfinite(sum_) ? sum_ + error_ : sum_; }

 private:
  double sum_ = 0.0;
  double error_ = 0.0;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_COMPENSATED_SUM_H_
