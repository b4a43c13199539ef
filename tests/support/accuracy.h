// Errors of the core against the oracle, gathered over many rows.
#ifndef LOSSD_TESTS_SUPPORT_ACCURACY_H_
#define LOSSD_TESTS_SUPPORT_ACCURACY_H_

#include <cstdint>
#include <string>

#include "tests/support/distributions.h"

namespace lossd::testing {

// The errors of one kind of result.
struct Errors {
  double worst_ulps = 0;
  int64_t values = 0;
  int64_t misrounded = 0;  // not the nearest T, ties to even
  std::string worst_at;    // where the worst is
};

struct AccuracyReport {
  Errors gradient;
  Errors row_losses;
  Errors log_sum_exp;
  double worst_relative_loss = 0;  // of the scalar loss
};

// Runs a batch of `rows` drawn from `distribution` through the core, with the
// sum as its reduction, and adds every result's error to `report`.
template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, AccuracyReport& report);

// Prints the worst errors to stdout, records them as properties of the running
// test, and fails it where an error is above the limits: `max_ulps`, and 2^-40
// relative for the scalar loss.
void ExpectAccurate(const std::string& title, const AccuracyReport& report,
                    double max_ulps);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_ACCURACY_H_
