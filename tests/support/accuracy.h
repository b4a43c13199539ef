// Errors of the core against the oracle, gathered over many rows.
#ifndef LOSSD_TESTS_SUPPORT_ACCURACY_H_
#define LOSSD_TESTS_SUPPORT_ACCURACY_H_

#include <cstdint>
#include <string>

#include "tests/support/distributions.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {

// The errors of one kind of result.
struct Errors {
  double worst_ulps = 0;
  int64_t values = 0;
  int64_t misrounded = 0;  // not the nearest number, ties to even
  std::string worst_at;    // where the worst is
};

struct AccuracyReport {
  Errors gradient;  // in ulps of the gradient's own type
  Errors probabilities;
  Errors log_probabilities;
  Errors row_losses;
  Errors log_sum_exp;
  double worst_relative_loss = 0;     // of the scalar loss
  double worst_relative_divisor = 0;  // of the divisor that the core reports
};

// Runs a batch of `rows` drawn from `distribution` through the core, with the
// sum as its reduction, and adds every result's error to `report`.
template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, AccuracyReport& report);

// The same as `settings` say. About a fourth of the labels become the
// ignore_index, if there is one; ignored rows are checked, too. The divisor
// that the core reports is taken for the formula's. Where it is 0 and yet some
// row counts, the scalar loss is not checked.
// REQUIRES: `settings` ask for all outputs.
template <typename T>
void MeasureAccuracy(Distribution distribution, int64_t rows, int64_t classes,
                     uint64_t seed, const RunSettings& settings,
                     AccuracyReport& report);

// Prints the worst errors to stdout, records them as properties of the running
// test, and fails it where an error is above the limits: `max_ulps`, 2^-40
// relative for the scalar loss and 2^-50 for the divisor.
void ExpectAccurate(const std::string& title, const AccuracyReport& report,
                    double max_ulps);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_ACCURACY_H_
