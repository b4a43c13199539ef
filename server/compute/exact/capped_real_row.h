#ifndef LOSSD_SERVER_COMPUTE_EXACT_CAPPED_REAL_ROW_H_
#define LOSSD_SERVER_COMPUTE_EXACT_CAPPED_REAL_ROW_H_

#include <cstdint>
#include <vector>

#include "server/compute/element_type.h"
#include "server/compute/exact/ball.h"
#include "server/compute/exact/big_float.h"
#include "server/compute/exact/row_task.h"

namespace lossd::compute {

// RealRow for capped logits: more and more bits until a result is known to
// 2^-60 of itself, or is too small for float64.
//
// A capped logit other than 0 is irrational. Results that are 0 are those of
// rows whose logits above -inf are all equal, of which the cap says nothing,
// and those are found by exact arithmetic.
//
// Cost: some 10 us per class at first, and more where bits are missing.
class CappedRealRow {
 public:
  // REQUIRES: as RealRow, and the task is capped.
  CappedRealRow(const RowTask& task, double max);

  // Each within 0.51 ulp of `type`.
  double Gradient(int64_t i, ElementType type);
  double Probability(int64_t i, ElementType type);
  double LogProbability(int64_t i, ElementType type);
  double LogSumExp(ElementType type);
  // REQUIRES: the loss is finite.
  double Loss(ElementType type);

 private:
  // Knows all of the row to `bits`, or to what remains of them.
  void Know(int64_t bits);

  BigFloat TargetTimesClasses(int64_t i) const;

  Ball Tail(int64_t i) const;         // exp(-2 |z_i / cap|)
  Ball CappedLogit(int64_t i) const;  // a_i. REQUIRES: not -inf
  Ball Slope(int64_t i) const;        // 1 - tanh^2(z_i / cap)
  Ball Below(int64_t i) const;        // a_i - a_max
  Ball Exponential(int64_t i) const;  // E_i = exp(a_i - a_max)
  Ball GradientBall(int64_t i) const;
  Ball LossBall() const;

  // value() at as many bits as it takes.
  template <typename Value>
  double Round(ElementType type, const Value& value);

  const RowTask& task_;
  const double max_;
  int64_t count_ = 0;      // of logits equal to the maximum
  bool has_rest_ = false;  // other finite logits
  double second_ = 0.0;    // the largest of these, less the maximum, capped
  BigFloat all_targets_;   // times the number of classes
  // To so many bits:
  int64_t bits_ = 0;
  Ball max_logit_;  // a_max
  Ball rest_;       // the sum of the E_j below 1
  Ball log_sum_;    // ln of the sum of all E_j
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_CAPPED_REAL_ROW_H_
