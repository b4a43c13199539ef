// The files' text.
#ifndef LOSSD_TESTS_GOLDEN_GOLDEN_JSON_H_
#define LOSSD_TESTS_GOLDEN_GOLDEN_JSON_H_

#include <string>

#include "absl/status/statusor.h"
#include "tests/golden/exact_math.h"
#include "tests/golden/golden_case.h"

namespace lossd::golden {

// `exact` rounded to 40 significant decimal digits, without trailing zeros:
// "0.5", "-1.25e-30", "0", "inf", "-inf" or "nan".
std::string DecimalOf(const ExactReal& exact);

// The value that a text of DecimalOf says, to 512 bits.
// Errors: InvalidArgument: it is no such text.
absl::StatusOr<ExactReal> RealOf(const std::string& decimal);

// What tests/data/NAME.json holds for `file`. Each case is computed twice, the
// second time with twice the bits and more.
// Errors: Internal, naming the case: the two differ in one of 40 digits; or a
//   decimal does not round to the case's type as the exact number does, be it
//   at once or by way of a float64.
absl::StatusOr<std::string> JsonOf(const GoldenFile& file);

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_GOLDEN_JSON_H_
