#ifndef LOSSD_SERVER_COMPUTE_EXACT_REAL_ROW_H_
#define LOSSD_SERVER_COMPUTE_EXACT_REAL_ROW_H_

#include <cstdint>
#include <optional>

#include "server/compute/element_type.h"
#include "server/compute/exact/ball.h"
#include "server/compute/exact/big_float.h"
#include "server/compute/exact/row_task.h"

namespace lossd::compute {

// The results of one row as real numbers, to as many bits as rounding takes:
// the way that always ends.
//
// A result that is irrational differs from every middle between two floats, so
// more bits decide in the end. One that is rational, or differs from a rational
// number by what logits far below the maximum add, however little, is compared
// by exact arithmetic: it is rational only where all finite logits are equal
// (Lindemann and Weierstrass).
//
// Cost: about 1 us per class, and more where bits are missing.
class RealRow {
 public:
  // REQUIRES: `task` outlives this; at least one of its logits is above -inf
  // and none is NaN or +inf; `max` is the largest.
  RealRow(const RowTask& task, double max);

  // Each rounded once to `type`, ties to even; for float64 within 0.51 ulp.
  double Gradient(int64_t i, ElementType type);
  double Probability(int64_t i, ElementType type);
  double LogProbability(int64_t i, ElementType type);
  double LogSumExp(ElementType type);
  // REQUIRES: the loss is finite.
  double Loss(ElementType type);

 private:
  // scale_up (total E_i / S - own) / scale_down, where E_i = exp(a_i - a_max),
  // S their sum, and total = total0 + total_lse ln(sum of exp(a)).
  struct Share {
    int64_t i;
    BigFloat scale_up;
    BigFloat scale_down;
    BigFloat total0;
    BigFloat total_lse;
    BigFloat own;
  };
  // (constant + linear ln S + square (a_max + ln S)^2) / scale_down.
  struct Logarithm {
    BigFloat constant;
    BigFloat linear;
    BigFloat square;
    BigFloat scale_down;
  };

  BigFloat ScaledLogit(int64_t i) const;
  BigFloat TargetTimesClasses(int64_t i) const;
  const BigFloat& AllTargetsTimesClasses();

  // E_i, and the sum of the E_j below 1.
  Ball Exponential(int64_t i, int64_t bits) const;
  const Ball& Rest(int64_t bits);
  Ball Sum(int64_t bits);            // S
  const Ball& LogSum(int64_t bits);  // ln S
  Ball Total(const Share& share, int64_t bits);

  Ball Value(const Share& share, int64_t bits);
  Ball Value(const Logarithm& logarithm, int64_t bits);
  // The sign of the value less t.
  int Compare(const Share& share, double t);
  int Compare(const Logarithm& logarithm, double t);
  int SignOfTotal(const Share& share);

  template <typename Form>
  double Round(const Form& form, ElementType type);

  const RowTask& task_;
  const double max_;
  const BigFloat scaled_max_;  // a_max
  int64_t count_ = 0;          // of logits equal to the maximum
  bool has_rest_ = false;      // other finite logits
  double second_ = 0.0;        // the largest of these
  std::optional<BigFloat> all_targets_;
  // By `bits`, of the last asked for.
  int64_t rest_bits_ = 0;
  Ball rest_;
  int64_t log_sum_bits_ = 0;
  Ball log_sum_;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_REAL_ROW_H_
