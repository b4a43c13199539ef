// The oracle of second order: each loss's dense Hessian by its formula, to
// hundreds of bits.
#ifndef LOSSD_TESTS_SUPPORT_HESSIAN_ORACLE_H_
#define LOSSD_TESTS_SUPPORT_HESSIAN_ORACLE_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "server/compute/loss.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {

// One row as a loss sees it; logits and targets widened.
struct HessianInput {
  absl::Span<const double> logits;
  int64_t label = -1;                     // where there are no targets
  absl::Span<const double> targets = {};  // empty: the label
};

// A product and the size of the terms that it is made of, which its error is in
// units of where they cancel.
struct ExactProduct {
  std::vector<ExactReal> value;  // [classes]
  std::vector<ExactReal> size;
};

// (d2 l / dz2) v of one row's loss l, without row weight and divisor, from the
// dense Hessian, element by element:
//
//   H_ij = s^2 (T (p_i [i = j] - p_i p_j) + 2 z_loss p_i p_j)
//                                                 softmax_cross_entropy
//   H_ij = w_y (a' p_y ([j = y] - p_j) (p_i - [i = y])
//               + a (p_i [i = j] - p_i p_j))      softmax_focal
//
//   H_ij = Q (p_i [i = j] - p_i p_j)              kl_divergence, p at T
//
// a' being da / dp_y; with a softcap's slopes and bends around it and beside
// it; and diagonal ones of the others. An impossible class is one of
// probability 0, and its v is taken for 0.
//
// The size of softmax's terms is p_i max |v_j - v_k| over the possible classes
// times the sizes of the coefficients; that of products that do not cancel 0.
//
// Accuracy: relative 2^-200 of the size.
// REQUIRES: compute::HasHessian(spec). Cost: classes^2.
ExactProduct OracleHessianProduct(const compute::LossSpec& spec,
                                  const HessianInput& row,
                                  absl::Span<const double> vector);

}  // namespace lossd::testing

#endif  // LOSSD_TESTS_SUPPORT_HESSIAN_ORACLE_H_
