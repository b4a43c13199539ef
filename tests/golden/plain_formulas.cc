// The losses without a softmax: elementwise ones, hinge, log-likelihood.
#include <cassert>
#include <cstddef>

#include "tests/golden/formulas.h"

namespace lossd::golden {
namespace {

// A class's term with its first two derivatives.
struct Term {
  ExactReal value;
  ExactReal slope;
  ExactReal curve;
};

Term SquaredError(const ExactReal& z, const ExactReal& t) {
  const ExactReal two(z.precision_bits(), 2);
  const ExactReal d = z - t;
  return {d * d, two * d, two};
}

Term Huber(const Options& options, const ExactReal& z, const ExactReal& t) {
  const mpfr_prec_t bits = z.precision_bits();
  const ExactReal zero(bits, 0), one(bits, 1), two(bits, 2);
  const ExactReal delta(bits, options.delta.value_or(1.0));
  const ExactReal d = z - t;
  if (!(delta < Abs(d))) return {d * d / two, d, one};
  return {delta * (Abs(d) - delta / two), IsPositive(d) ? delta : -delta, zero};
}

// -inf is probability 0: only a positive target costs, infinitely.
Term SigmoidCrossEntropy(const Options& options, size_t i, const ExactReal& z,
                         const ExactReal& t) {
  const mpfr_prec_t bits = z.precision_bits();
  const ExactReal zero(bits, 0), one(bits, 1), two(bits, 2);
  const auto& weights = options.positive_weights;
  const ExactReal weight(bits, weights.empty() ? 1.0 : weights[i]);
  const ExactReal smoothing(bits, options.label_smoothing.value_or(0.0));
  const ExactReal positive = weight * ((one - smoothing) * t + smoothing / two);
  const ExactReal negative = (one - smoothing) * (one - t) + smoothing / two;
  if (!IsFinite(z)) {
    return {IsZero(positive) ? zero : -z, -positive, zero};
  }
  const ExactReal yes = one / (one + Exp(-z)), no = one / (one + Exp(z));
  return {positive * Log1p(Exp(-z)) + negative * Log1p(Exp(z)),
          negative * yes - positive * no, (positive + negative) * yes * no};
}

Term SigmoidFocal(const Options& options, const ExactReal& z,
                  const ExactReal& t) {
  const mpfr_prec_t bits = z.precision_bits();
  const ExactReal zero(bits, 0), one(bits, 1), two(bits, 2);
  const ExactReal gamma(bits, options.gamma.value_or(2.0));
  ExactReal weight = one;  // alpha_t
  if (options.alpha.has_value()) {
    const ExactReal alpha(bits, *options.alpha);
    weight = alpha * t + (one - alpha) * (one - t);
  }
  if (!IsFinite(z)) {
    if (IsZero(t)) return {zero, zero, zero};
    return {IsZero(weight) ? zero : -z, -(weight * Pow(t, gamma) * t), zero};
  }
  const ExactReal yes = one / (one + Exp(-z)), no = one / (one + Exp(z));
  const ExactReal cross_entropy =
      t * Log1p(Exp(-z)) + (one - t) * Log1p(Exp(z));
  // 1 - p_t and its derivatives; the power's: P, P', P''.
  const ExactReal rest = (one - t) * yes + t * no;
  const ExactReal rest_slope = (one - two * t) * yes * no;
  const ExactReal rest_curve = rest_slope * (no - yes);
  const ExactReal power = Pow(rest, gamma);
  const ExactReal power_slope = gamma * power / rest * rest_slope;
  const ExactReal power_curve =
      gamma * power / rest *
      ((gamma - one) / rest * rest_slope * rest_slope + rest_curve);
  return {weight * power * cross_entropy,
          weight * (power_slope * cross_entropy + power * (yes - t)),
          weight * (power_curve * cross_entropy +
                    two * power_slope * (yes - t) + power * yes * no)};
}

Term TermOf(const GoldenCase& golden, const Row& row, size_t i) {
  const ExactReal& z = row.logits[i];
  const ExactReal& t = row.targets[i];
  switch (golden.loss) {
    case Loss::kSigmoidCrossEntropy:
      return SigmoidCrossEntropy(golden.options, i, z, t);
    case Loss::kSigmoidFocal:
      return SigmoidFocal(golden.options, z, t);
    case Loss::kHuber:
      return Huber(golden.options, z, t);
    default:
      assert(golden.loss == Loss::kSquaredError);
      return SquaredError(z, t);
  }
}

// The mean of the classes' terms.
RowResult Elementwise(const GoldenCase& golden, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const ExactReal classes(bits, static_cast<double>(row.logits.size()));
  RowResult result = {ExactReal(bits, 0)};
  for (size_t i = 0; i < row.logits.size(); ++i) {
    const Term term = TermOf(golden, row, i);
    result.loss = result.loss + term.value / classes;
    result.gradient.push_back(term.slope / classes);
    if (row.vector.empty()) continue;
    result.product.push_back(term.curve * row.vector[i] / classes);
  }
  return result;
}

RowResult LogLikelihood(const GoldenCase& golden, const Row& row) {
  const ExactReal zero(row.logits[0].precision_bits(), 0);
  const auto& weights = golden.options.class_weights;
  const ExactReal weight(zero.precision_bits(),
                         weights.empty() ? 1.0 : weights[row.label]);
  RowResult result = {zero, Reals(row.logits.size(), zero),
                      Reals(row.vector.size(), zero)};
  if (IsZero(weight)) return result;
  result.loss = -(weight * row.logits[row.label]);
  result.gradient[row.label] = -weight;
  return result;
}

// An impossible class is never active; one alone has no others.
RowResult Hinge(const GoldenCase& golden, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const ExactReal zero(bits, 0), one(bits, 1), two(bits, 2);
  const ExactReal others(bits, static_cast<double>(row.logits.size() - 1));
  const ExactReal margin(bits, golden.options.margin.value_or(1.0));
  const bool is_squared = golden.options.power == 2;
  assert(row.vector.empty());
  RowResult result = {zero, Reals(row.logits.size(), zero)};
  ExactReal& at_label = result.gradient[row.label];
  for (size_t i = 0; i < row.logits.size(); ++i) {
    if (static_cast<int64_t>(i) == row.label || !IsFinite(row.logits[i])) {
      continue;
    }
    const ExactReal h = margin - row.logits[row.label] + row.logits[i];
    if (!IsPositive(h)) continue;
    result.loss = result.loss + (is_squared ? h * h : h) / others;
    result.gradient[i] = (is_squared ? two * h : one) / others;
    at_label = at_label - result.gradient[i];
  }
  return result;
}

}  // namespace

RowResult PlainRow(const GoldenCase& golden, const Row& row) {
  if (golden.loss == Loss::kMulticlassHinge) return Hinge(golden, row);
  if (golden.loss == Loss::kNegativeLogLikelihood) {
    return LogLikelihood(golden, row);
  }
  return Elementwise(golden, row);
}

}  // namespace lossd::golden
