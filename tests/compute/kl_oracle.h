// KL divergence by its formula, to hundreds of bits, and rows to try it on.
#ifndef LOSSD_TESTS_COMPUTE_KL_ORACLE_H_
#define LOSSD_TESTS_COMPUTE_KL_ORACLE_H_

#include <cstdint>
#include <random>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/loss.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {

struct ExactKlRow {
  ExactReal loss;
  std::vector<ExactReal> slopes;  // T (Q p_i - q_i)
};

// One row, before its factors. An impossible class with a target makes the loss
// +inf.
// Accuracy: the formula as it stands, in 1,300 bits, of which parts that cancel
// leave 128 or a result that is 0 in float64.
ExactKlRow KlOracle(const compute::KlDivergence& loss,
                    absl::Span<const double> z, absl::Span<const double> t);

// What a teacher is to the student.
enum class Teacher {
  // Logits.
  kAny,
  kNear,        // the student's, and 1e-3
  kVeryNear,    // the student's, a few last places off
  kOffset,      // the student's and a constant: the same distribution
  kPermuted,    // the student's in another order
  kSomeMasked,  // any, some of them -inf
  // Probabilities.
  kProbabilities,
  kNotNormalized,
  kOneHot,
  kSome,      // most of them 0
  kStudents,  // the student's, rounded
  kUniform,
  kPowersOfTwo,
  kTiny,
};
inline constexpr int kLogitTeachers = 6;
inline constexpr int kTeachers = 14;

inline bool IsLogits(Teacher teacher) {
  return static_cast<int>(teacher) < kLogitTeachers;
}

// A teacher's row for the student's logits `z` at temperature T.
std::vector<double> DrawTeacher(Teacher teacher, absl::Span<const double> z,
                                double temperature, std::mt19937_64& random);

// A student's row: normal logits times 1, 30, 1e-4, T; integers; equal ones;
// with one far above; some -inf.
std::vector<double> DrawStudent(uint64_t kind, int64_t classes,
                                double temperature, std::mt19937_64& random);
inline constexpr uint64_t kStudentKinds = 8;

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_COMPUTE_KL_ORACLE_H_
