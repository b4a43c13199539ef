// The engine's exponentials, on the instruction set in use (kernel.h), and how
// far the fast one is off.
#ifndef LOSSD_TESTS_COMPUTE_EXP_ERRORS_H_
#define LOSSD_TESTS_COMPUTE_EXP_ERRORS_H_

#include <cstdint>
#include <vector>

namespace lossd::testing {

struct ExpErrors {
  int64_t checked = 0;
  double worst = 0.0;    // error over bound
  int64_t failures = 0;  // not under the bound, or not the same unmasked

  void Add(const ExpErrors& next);
};

// FastExps against CarefulExp, which is 2^7 times as exact, by its bound: (2.3
// + 0.31 |x|) 2^-53. Of the negative floats with bits first, first + step, ...,
// below last; and of any x in [-700, 200].
ExpErrors FastExpErrorsOfFloats(uint32_t first, uint32_t last, uint32_t step);
ExpErrors FastExpErrors(const std::vector<double>& xs);

// A number as the unevaluated sum of two.
struct DoublePair {
  double hi = 0.0;
  double lo = 0.0;
};

double FastExpOf(double x);
DoublePair CarefulExpOf(DoublePair x);  // times 2^512
DoublePair ExactExpOf(DoublePair x);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_EXP_ERRORS_H_
