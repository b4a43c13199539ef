// The losses by their formulas, on real numbers: docs/losses.md line by line,
// with no regard to speed or cancellation.
#ifndef LOSSD_TESTS_GOLDEN_FORMULAS_H_
#define LOSSD_TESTS_GOLDEN_FORMULAS_H_

#include <cstdint>
#include <optional>

#include "tests/golden/exact_math.h"
#include "tests/golden/golden_case.h"

namespace lossd::golden {

// One row of a case. The logits may be any real numbers or -inf, so that the
// formulas can be differentiated by moving one a little.
struct Row {
  Reals logits = {};
  int64_t label = 0;   // where there are no targets
  Reals targets = {};  // [classes]; empty: class index
  Reals vector = {};   // [classes]; empty: no product
};

// A row's results before row weight, upstream gradient and denominator.
struct RowResult {
  ExactReal loss;
  Reals gradient = {};  // [classes]
  Reals product = {};   // [classes], the Hessian times `vector`
  std::optional<ExactReal> log_sum_exp = std::nullopt;
};

// Row `row` of `golden`, exactly, in numbers of `bits`.
Row RowOf(const GoldenCase& golden, int64_t row, mpfr_prec_t bits);

// Computes one row with the loss and options of `golden`. What is rounded is
// rounded to the row's bits, so a difference of two terms loses what cancels.
// Edge cases are those of docs/numerics.md: 0 times infinity is 0.
// REQUIRES: a product is asked for only where the loss has a second derivative.
RowResult ComputeRow(const GoldenCase& golden, const Row& row);

// The two families of it: over a softmax, and the rest.
RowResult SoftmaxRow(const GoldenCase& golden, const Row& row);
RowResult PlainRow(const GoldenCase& golden, const Row& row);

// The batch's results, all factors included.
struct BatchResult {
  // A double, as lossd has it: what the weights add up to, rounded once. It is
  // part of the formula of all that it divides.
  double divisor = 1.0;
  std::optional<ExactReal> loss = std::nullopt;  // absent: no reduction
  Reals row_losses = {};
  Reals gradient = {};     // [rows * classes]
  Reals product = {};      // the same; empty: not asked for
  Reals log_sum_exp = {};  // [rows]; only of softmax cross-entropy
};

// REQUIRES: `bits` are enough: MadeTwice checks that.
BatchResult ComputeBatch(const GoldenCase& golden, mpfr_prec_t bits);

// Bits that should be enough: what cancels is as small as the exponential of
// the distance of two logits.
mpfr_prec_t BitsFor(const GoldenCase& golden);

}  // namespace lossd::golden

#endif  // LOSSD_TESTS_GOLDEN_FORMULAS_H_
