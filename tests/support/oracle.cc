#include "tests/support/oracle.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <utility>

#include "tests/support/softcap_oracle.h"

namespace lossd::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// No result shows the difference between exp(-2000) and any positive number
// below it: the largest factors, 1e240 in all, leave it below every float, and
// it is further from a tie than the precision reaches.
constexpr double kFar = 2000;

// How far errors reach up from the last bit: each result comes from fewer than
// 2^32 roundings, of numbers of which none is more than 2^11 times as sensitive
// to them.
constexpr mpfr_prec_t kLostBits = 64;

// How many bits rational results take to show on which side of a tie they are:
// their denominators are products of the divisor and of two numbers of classes,
// their numerators of up to eight doubles, whose sizes differ by 2^300; by more
// where the smoothing or a probability is tiny.
mpfr_prec_t RationalBits(const RowTarget& target, const OracleOptions& options,
                         const RowFactors& factors) {
  const auto* t = std::get_if<absl::Span<const double>>(&target);
  const bool is_plain = t == nullptr && options.class_weights.empty() &&
                        options.label_smoothing == 0 && options.z_loss == 0 &&
                        options.logit_scale == 1 && !options.logit_softcap &&
                        factors.row_weight == 1;
  if (is_plain) return 256;
  double least = options.label_smoothing > 0 ? options.label_smoothing : 1.0;
  if (t != nullptr) {
    for (double probability : *t) {
      if (probability > 0) least = std::min(least, probability);
    }
  }
  return 1024 - std::ilogb(least);
}

// And room for 1 beside the smallest exponential that can decide a rounding,
// the one nearest to 1, and m, which is all of lse where no other logit counts.
mpfr_prec_t PrecisionBits(absl::Span<const double> logits, double max,
                          const OracleOptions& options,
                          mpfr_prec_t rational_bits) {
  const double scale = options.logit_scale;
  if (options.logit_softcap) {
    const double cap = *options.logit_softcap;
    return rational_bits + CapSpreadBits(logits, cap, scale) +
           CapCancellationBits(logits, cap, scale);
  }
  double farthest = 0;
  double nearest = max == 0 ? 1 : std::min(std::abs(max), 1.0);
  for (double z : logits) {
    if (z == -kInfinity || z == max) continue;
    farthest = std::max(farthest, scale * (max - z));
    nearest = std::min(nearest, max - z);
  }
  return rational_bits +
         static_cast<mpfr_prec_t>(1.45 * std::min(farthest, kFar)) -
         std::ilogb(nearest) - std::min(std::ilogb(scale), 0);
}

// Whether the row's results are NaN.
bool IsUndefined(absl::Span<const double> logits) {
  bool has_finite = false;
  for (double z : logits) {
    if (std::isnan(z) || z == kInfinity) return true;
    if (z != -kInfinity) has_finite = true;
  }
  return !has_finite;
}

ExactRow UndefinedRow(size_t classes) {
  const ExactReal nan(64);
  const std::vector<ExactReal> nans(classes, nan);
  return {nan, nan, nans, nans, nans};
}

bool IsZero(const ExactReal& value) { return mpfr_zero_p(value.get()) != 0; }

// q_c for every c.
std::vector<ExactReal> TargetWeights(const RowTarget& target,
                                     const OracleOptions& options,
                                     size_t classes, mpfr_prec_t precision) {
  const auto real = [&](double value) { return ExactReal(precision, value); };
  const ExactReal smoothing = real(options.label_smoothing);
  const ExactReal kept = real(1) - smoothing;
  const ExactReal even = smoothing / real(static_cast<double>(classes));
  const auto* label = std::get_if<int64_t>(&target);
  assert(label == nullptr ||
         (*label >= 0 && static_cast<size_t>(*label) < classes));
  std::vector<ExactReal> weights;
  weights.reserve(classes);
  for (size_t c = 0; c < classes; ++c) {
    const double t = label == nullptr
                         ? std::get<absl::Span<const double>>(target)[c]
                         : (static_cast<size_t>(*label) == c ? 1 : 0);
    ExactReal q = kept * real(t) + even;
    if (!options.class_weights.empty()) q = q * real(options.class_weights[c]);
    weights.push_back(std::move(q));
  }
  return weights;
}

// s z, or capped.
ExactReal ScaledLogit(double z, const OracleOptions& options,
                      mpfr_prec_t precision) {
  if (options.logit_softcap) {
    return CappedLogit(z, *options.logit_softcap, options.logit_scale,
                       precision);
  }
  return ExactReal(precision, options.logit_scale) * ExactReal(precision, z);
}

// How far z is below the largest, both scaled.
ExactReal Distance(double largest, double z, const OracleOptions& options,
                   mpfr_prec_t precision) {
  if (options.logit_softcap) {
    return ScaledLogit(largest, options, precision) -
           ScaledLogit(z, options, precision);
  }
  return ExactReal(precision, options.logit_scale) *
         (ExactReal(precision, largest) - ExactReal(precision, z));
}

// exp(-distance)
ExactReal Exponential(const ExactReal& distance) {
  ExactReal e(distance.precision_bits(), -kFar);
  if (mpfr_inf_p(distance.get()) || mpfr_cmp_d(distance.get(), kFar) < 0) {
    mpfr_neg(e.get(), distance.get(), MPFR_RNDN);
  }
  mpfr_exp(e.get(), e.get(), MPFR_RNDN);
  return e;
}

// `value`, a difference of terms of up to `size`, is wrong by less than
// 2^(kLostBits - precision) times that. Ties and zeros are short: where a short
// number lies that near, it is the exact value.
ExactReal Snapped(const ExactReal& value, const ExactReal& size) {
  if (!mpfr_regular_p(value.get())) return value;
  const mpfr_exp_t known_bits = value.precision_bits() - kLostBits +
                                mpfr_get_exp(value.get()) -
                                mpfr_get_exp(size.get());
  if (known_bits <= 0) return ExactReal(value.precision_bits(), 0.0);
  ExactReal rounded(std::max<mpfr_prec_t>(known_bits, 2));
  mpfr_set(rounded.get(), value.get(), MPFR_RNDN);
  const bool is_short = mpfr_min_prec(rounded.get()) + 64 < known_bits;
  return is_short ? rounded : value;
}

// s row_weight upstream / divisor
ExactReal GradientFactor(const OracleOptions& options,
                         const RowFactors& factors, mpfr_prec_t precision) {
  const auto real = [&](double value) { return ExactReal(precision, value); };
  if (factors.divisor == 0) return real(0);
  return real(options.logit_scale) * real(factors.row_weight) *
         real(factors.upstream) / real(factors.divisor);
}

bool IsIgnored(const OracleInput& input, int64_t row) {
  return input.probabilities.empty() && input.ignore_index.has_value() &&
         input.labels[row] == *input.ignore_index;
}

double RowWeight(const OracleInput& input, int64_t row) {
  return input.row_weights.empty() ? 1.0 : input.row_weights[row];
}

double Upstream(const OracleInput& input, int64_t row) {
  if (input.upstream.empty()) return 1.0;
  return input.upstream[input.upstream.size() == 1 ? 0 : row];
}

RowTarget Target(const OracleInput& input, int64_t row) {
  if (input.probabilities.empty()) return input.labels[row];
  return input.probabilities.subspan(row * input.classes, input.classes);
}

}  // namespace

ExactRow OracleRow(absl::Span<const double> logits, const RowTarget& target,
                   const OracleOptions& options, const RowFactors& factors) {
  if (IsUndefined(logits)) return UndefinedRow(logits.size());
  const size_t largest =
      std::max_element(logits.begin(), logits.end()) - logits.begin();
  const mpfr_prec_t precision = PrecisionBits(
      logits, logits[largest], options, RationalBits(target, options, factors));
  const auto real = [&](double value) { return ExactReal(precision, value); };
  const ExactReal max = ScaledLogit(logits[largest], options, precision);
  const ExactReal z_loss = real(options.z_loss);

  std::vector<ExactReal> q =
      TargetWeights(target, options, logits.size(), precision);
  std::vector<ExactReal> p;      // at first exp(a_c - m)
  std::vector<ExactReal> log_p;  // at first a_c - m
  p.reserve(logits.size());
  log_p.reserve(logits.size());
  ExactReal rest = real(0);         // R
  ExactReal all_targets = real(0);  // Q
  ExactReal distances = real(0);    // sum of q_c (m - a_c)
  for (size_t c = 0; c < logits.size(); ++c) {
    const ExactReal distance =
        Distance(logits[largest], logits[c], options, precision);
    p.push_back(Exponential(distance));
    log_p.push_back(real(0) - distance);
    if (c != largest) rest = rest + p[c];
    if (IsZero(q[c])) continue;
    all_targets = all_targets + q[c];
    distances = distances + q[c] * distance;
  }

  const ExactReal exp_sum = real(1) + rest;
  ExactReal log_sum(precision);
  mpfr_log1p(log_sum.get(), rest.get(), MPFR_RNDN);
  const ExactReal lse = max + log_sum;
  ExactReal loss = real(0);
  if (factors.row_weight != 0) {
    loss = real(factors.row_weight) *
           (distances + all_targets * log_sum + z_loss * lse * lse);
  }

  const ExactReal two_z_loss = real(2) * z_loss;
  const ExactReal total = all_targets + two_z_loss * lse;
  ExactReal max_size(precision);
  mpfr_abs(max_size.get(), max.get(), MPFR_RNDN);
  const ExactReal total_size = all_targets + two_z_loss * (max_size + log_sum);
  const ExactReal factor = GradientFactor(options, factors, precision);
  for (size_t c = 0; c < logits.size(); ++c) {
    p[c] = p[c] / exp_sum;
    log_p[c] = log_p[c] - log_sum;
    const ExactReal size = total_size * p[c] + q[c];
    q[c] = Snapped(factor * (total * p[c] - q[c]), factor * size);
    if (options.logit_softcap) {
      q[c] = q[c] * CapSlope(logits[c], *options.logit_softcap, precision);
    }
  }
  return {loss, lse, std::move(q), std::move(p), std::move(log_p)};
}

ExactRow OracleRow(absl::Span<const double> logits, int64_t label,
                   double upstream, double divisor) {
  return OracleRow(logits, RowTarget(label), OracleOptions(),
                   {.upstream = upstream, .divisor = divisor});
}

ExactReal OracleDivisor(const OracleInput& input) {
  ExactReal sum(2048, 0.0);
  for (int64_t r = 0; r < input.rows; ++r) {
    if (IsIgnored(input, r)) continue;
    const bool is_weighted =
        input.probabilities.empty() && !input.options.class_weights.empty();
    const double weight =
        is_weighted ? input.options.class_weights[input.labels[r]] : 1.0;
    sum = sum + ExactReal(128, RowWeight(input, r)) * ExactReal(128, weight);
  }
  return sum;
}

OracleOutput OracleBatch(const OracleInput& input) {
  OracleOutput output;
  const bool is_mean = input.reduction == compute::Reduction::kMean;
  if (is_mean) {
    output.divisor = input.divisor.has_value()
                         ? *input.divisor
                         : RoundTo<double>(OracleDivisor(input));
  }
  ExactReal sum(2048, 0.0);
  for (int64_t r = 0; r < input.rows; ++r) {
    std::optional<ExactRow>& row = output.rows.emplace_back();
    if (IsIgnored(input, r)) continue;
    ++output.row_count;
    row = OracleRow(input.logits.subspan(r * input.classes, input.classes),
                    Target(input, r), input.options,
                    {.row_weight = RowWeight(input, r),
                     .upstream = Upstream(input, r),
                     .divisor = output.divisor});
    sum = sum + row->loss;
  }
  if (input.reduction == compute::Reduction::kNone) return output;
  output.loss = sum / ExactReal(64, output.divisor);
  if (output.divisor == 0) output.loss = ExactReal(64);
  return output;
}

int64_t OraclePrediction(absl::Span<const double> logits) {
  return std::max_element(logits.begin(), logits.end()) - logits.begin();
}

}  // namespace lossd::testing
