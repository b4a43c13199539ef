#ifndef LOSSD_SERVER_COMPUTE_EXACT_REAL_KL_H_
#define LOSSD_SERVER_COMPUTE_EXACT_REAL_KL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "server/compute/exact/ball.h"
#include "server/compute/exact/big_float.h"
#include "server/compute/exact/kl_task.h"

namespace lossd::compute {

// The results of one row of KL divergence as real numbers, to as many bits as
// they take: the way that always ends.
//
// A result is 0 only where it is so by construction, which is seen without
// arithmetic: by the theorem of Lindemann and Weierstrass exponentials of
// different rational numbers have no linear relation. So
//   - with a teacher's logits a slope is 0 only where both sides' logits, taken
//     from their maxima, are the same numbers in any order, and the class's own
//     are equal;
//   - with its probabilities only where all possible logits are equal, and then
//     it is rational; so is the loss over ln 2 where it is 0.
//
// Cost: 10 to 25 us per class, measured, and more where bits are missing.
class RealKl {
 public:
  // high + low, to a relative error under 2^-58, or to 2^-1080.
  struct Number {
    double high;
    double low;
  };

  // REQUIRES: `task` outlives this.
  explicit RealKl(const KlTask& task);

  Number Slope(int64_t i);
  // REQUIRES: the loss is finite.
  Number Loss();

 private:
  // What is known to so many bits.
  struct Level {
    Ball student_rest;            // S less 1 for one of its largest terms
    Ball teacher_rest;            // the same of F, for logits
    std::optional<Ball> between;  // F - S, for logits
  };
  // How far a logit is below its maximum, exactly: the rounded difference, and
  // what it lost.
  using Distance = std::pair<double, double>;
  // The distances that one side has and the other has not, each as often: what
  // F - S is made of, however small it is beside either.
  struct Unmatched {
    bool known;  // no distance is beyond float64's range
    std::vector<Distance> student;
    std::vector<Distance> teacher;
  };

  Ball Exponential(double logit, double max, int64_t bits) const;
  Ball Exponential(const Distance& distance, int64_t bits) const;
  Ball ExponentialOf(const BigFloat& distance, int64_t bits) const;
  Ball RestOf(const double* logits, double max, int64_t bits) const;
  Level& LevelOf(int64_t bits);
  const Ball& Between(int64_t bits);
  const Unmatched& unmatched();
  bool IsMatched(int64_t i);
  // A sum without the term `own` of class `i`, `largest` being where the 1 is.
  Ball SumBut(int64_t i, int64_t largest, const Ball& rest, const Ball& own,
              int64_t bits) const;
  Ball SlopeBy(int64_t i, int64_t bits);
  Ball LogOfSumsBy(int64_t bits);
  Ball LossBy(int64_t bits);
  std::optional<BigFloat> LossInPowersOfTwo() const;

  const KlTask& task_;
  const BigFloat temperature_;
  int64_t student_largest_ = 0;  // the first of the largest
  int64_t teacher_largest_ = 0;
  int64_t possible_ = 0;   // logits above -inf
  bool all_equal_ = true;  // of these
  BigFloat targets_;       // F of probabilities
  std::optional<Unmatched> unmatched_;
  std::array<std::optional<Level>, 8> levels_;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_REAL_KL_H_
