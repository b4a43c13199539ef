#include "server/compute/exact/real_row.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace lossd::compute {
namespace {

constexpr int64_t kFirstBits = 192;
// Far beyond what any row of doubles can ask for; only so that there is an end.
constexpr int64_t kMostBits = 1 << 16;
// exp(x) is below 2^-2^38 for x below it.
constexpr int64_t kLeastExponent = -(int64_t{1} << 38);

// Asks value(bits) for more and more bits until its sign is seen.
// REQUIRES: the number is not 0.
template <typename Value>
int SignOfNonZero(const Value& value) {
  for (int64_t bits = kFirstBits; bits <= kMostBits; bits *= 2) {
    if (const int sign = SignOf(value(bits)); sign != 0) return sign;
  }
  return 0;
}

// Rounded to odd in 53 bits, which a second rounding to any narrower type makes
// right (Boldo, Melquiond, IEEE Trans. Comp. 57 (2008)).
double RoundedToOdd(const BigFloat& x) {
  if (x.sign() == 0) return 0.0;
  if (x.exponent() < -1000) return x.sign() * 0x1p-1000;
  if (x.exponent() > 1000) return x.sign() * 0x1p1000;
  const BigFloat shorter = x.Truncated(53);
  const double value = shorter.ToDouble();
  if (shorter == x) return value;
  return std::bit_cast<double>(std::bit_cast<uint64_t>(value) | 1);
}

double RoundTo(ElementType type, const BigFloat& x) {
  if (type == ElementType::kFloat64) return x.ToDouble();
  return WithElementType(type, [&](auto zero) {
    return ToDouble(FromDouble<decltype(zero)>(RoundedToOdd(x)));
  });
}

// Rounding takes infinity for the power of two after the largest number.
double Finite(ElementType type, double value) {
  if (!std::isinf(value)) return value;
  return std::copysign(type == ElementType::kFloat16 ? 0x1p16 : 0x1p128, value);
}

}  // namespace

RealRow::RealRow(const RowTask& task, double max)
    : task_(task),
      max_(max),
      scaled_max_(BigFloat(max) * BigFloat(task.scale)) {
  for (int64_t i = 0; i < task.classes; ++i) {
    const double logit = task.Logit(i);
    if (logit == max) {
      ++count_;
    } else if (!std::isinf(logit)) {
      second_ = has_rest_ ? std::max(second_, logit) : logit;
      has_rest_ = true;
    }
  }
}

BigFloat RealRow::ScaledLogit(int64_t i) const {
  return BigFloat(task_.Logit(i)) * BigFloat(task_.scale);
}

BigFloat RealRow::TargetTimesClasses(int64_t i) const {
  const RowTargets& targets = task_.targets;
  const BigFloat smoothing(targets.smoothing);
  const BigFloat kept = BigFloat(1.0) - smoothing;
  const BigFloat classes(static_cast<double>(task_.classes));
  return BigFloat(targets.class_weight(i)) *
         (kept * BigFloat(task_.Target(i)) * classes + smoothing);
}

const BigFloat& RealRow::AllTargetsTimesClasses() {
  if (!all_targets_) {
    all_targets_.emplace();
    for (int64_t i = 0; i < task_.classes; ++i) {
      // One-hot targets have one term.
      if (task_.targets.one_hot() && i != task_.label) continue;
      *all_targets_ = *all_targets_ + TargetTimesClasses(i);
    }
  }
  return *all_targets_;
}

Ball RealRow::Exponential(int64_t i, int64_t bits) const {
  const double logit = task_.Logit(i);
  if (logit == max_) return Exactly(BigFloat(1.0));
  if (std::isinf(logit)) return Exactly(BigFloat());
  const BigFloat x = ScaledLogit(i) - scaled_max_;
  if (x < BigFloat(static_cast<double>(kLeastExponent))) {
    return {BigFloat(), BigFloat::PowerOfTwo(kLeastExponent)};
  }
  const BigFloat e = Exp(x, bits);
  return {e, BigFloat::PowerOfTwo(e.exponent() + 1 - bits)};
}

const Ball& RealRow::Rest(int64_t bits) {
  if (rest_bits_ == bits) return rest_;
  rest_bits_ = bits;
  rest_ = Ball();
  // Below this, up to 2^40 classes cannot be seen beside the largest.
  const double unseen =
      second_ - 0.7 * static_cast<double>(bits + 64) / task_.scale;
  bool skips = false;
  for (int64_t i = 0; i < task_.classes; ++i) {
    const double logit = task_.Logit(i);
    if (logit == max_ || std::isinf(logit)) continue;
    if (logit < unseen) {
      skips = true;
    } else {
      rest_ = Add(rest_, Exponential(i, bits), bits + 64);
    }
  }
  if (skips) {
    rest_.radius =
        SumOfRadii(rest_.radius,
                   ProductOfSizes(rest_.middle, BigFloat::PowerOfTwo(-bits)));
  }
  return rest_;
}

Ball RealRow::Sum(int64_t bits) {
  const Ball count = Exactly(BigFloat(static_cast<double>(count_)));
  return Add(count, Rest(bits), bits);
}

const Ball& RealRow::LogSum(int64_t bits) {
  if (log_sum_bits_ == bits) return log_sum_;
  log_sum_bits_ = bits;
  const BigFloat others(static_cast<double>(count_ - 1));
  const Ball more = Add(Exactly(others), Rest(bits), bits);
  const BigFloat log = Log1p(more.middle, bits);
  // The derivative is at most 1.
  log_sum_ = Shortened(log, more.radius, bits);
  return log_sum_;
}

Ball RealRow::Total(const Share& share, int64_t bits) {
  if (share.total_lse.sign() == 0) return Exactly(share.total0);
  const BigFloat rational = share.total0 + share.total_lse * scaled_max_;
  return Add(Exactly(rational),
             Multiply(Exactly(share.total_lse), LogSum(bits), bits), bits);
}

Ball RealRow::Value(const Share& share, int64_t bits) {
  const Ball p = Divide(Exponential(share.i, bits), Sum(bits), bits);
  const Ball difference =
      Add(Multiply(Total(share, bits), p, bits), Exactly(-share.own), bits);
  return Divide(Multiply(Exactly(share.scale_up), difference, bits),
                Exactly(share.scale_down), bits);
}

Ball RealRow::Value(const Logarithm& logarithm, int64_t bits) {
  const Ball& log_sum = LogSum(bits);
  Ball value = Add(Exactly(logarithm.constant),
                   Multiply(Exactly(logarithm.linear), log_sum, bits), bits);
  if (logarithm.square.sign() != 0) {
    const Ball lse = Add(Exactly(scaled_max_), log_sum, bits);
    value =
        Add(value,
            Multiply(Exactly(logarithm.square), Multiply(lse, lse, bits), bits),
            bits);
  }
  return Divide(value, Exactly(logarithm.scale_down), bits);
}

// total0 + total_lse (a_max + ln S): rational without the logarithm, and where
// that is 0.
int RealRow::SignOfTotal(const Share& share) {
  if (share.total_lse.sign() == 0) return share.total0.sign();
  if (count_ == 1) {
    const BigFloat rational = share.total0 + share.total_lse * scaled_max_;
    if (rational.sign() == 0) return has_rest_ ? share.total_lse.sign() : 0;
    if (!has_rest_) return rational.sign();
  }
  return SignOfNonZero([&](int64_t bits) { return Total(share, bits); });
}

// With M logits at the maximum and R the rest's sum, the sign of
//
//   scale_up total E - b (M + R),   b = scale_up own + t scale_down,
//
// for scale_down > 0. What does not depend on R is rational unless ln M is in
// it: where it is 0, however small R is, R's factor decides.
int RealRow::Compare(const Share& share, double t) {
  const BigFloat b =
      share.scale_up * share.own + BigFloat(t) * share.scale_down;
  const double logit = task_.Logit(share.i);
  if (std::isinf(logit)) return -b.sign();
  const bool is_max = logit == max_;
  const bool has_log = share.total_lse.sign() != 0;
  if (!is_max && b.sign() == 0) {
    return share.scale_up.sign() * SignOfTotal(share);
  }
  if (is_max && (!has_log || count_ == 1)) {
    const BigFloat count(static_cast<double>(count_));
    const BigFloat rational =
        share.scale_up * (share.total0 + share.total_lse * scaled_max_) -
        b * count;
    if (!has_rest_) return rational.sign();
    if (rational.sign() == 0) {
      // scale_up total_lse ln(1 + R) - b R, and 0 < ln(1 + R) < R.
      const BigFloat up = share.scale_up * share.total_lse;
      if (!has_log) return -b.sign();
      if (up == b) return -up.sign();
      // R itself is beyond reach: (up - b) R is all that is left.
      if ((second_ - max_) * task_.scale < 0.5 * kLeastExponent) {
        return (up - b).sign();
      }
      return SignOfNonZero([&](int64_t bits) {
        return Add(Multiply(Exactly(up), LogSum(bits), bits),
                   Multiply(Exactly(-b), Rest(bits), bits), bits);
      });
    }
  }
  return SignOfNonZero([&](int64_t bits) {
    const Ball part =
        Multiply(Multiply(Exactly(share.scale_up), Total(share, bits), bits),
                 Exponential(share.i, bits), bits);
    return Add(part, Multiply(Exactly(-b), Sum(bits), bits), bits);
  });
}

// With L = ln S, which is 0 or irrational, the sign of
//
//   constant - t scale_down + square a_max^2
//     + (linear + 2 square a_max) L + square L^2.
int RealRow::Compare(const Logarithm& logarithm, double t) {
  const BigFloat& square = logarithm.square;
  const BigFloat rational = logarithm.constant -
                            BigFloat(t) * logarithm.scale_down +
                            square * scaled_max_ * scaled_max_;
  const BigFloat linear =
      logarithm.linear + BigFloat(2.0) * square * scaled_max_;
  const bool has_log = count_ > 1 || has_rest_;
  if (!has_log || (linear.sign() == 0 && square.sign() == 0)) {
    return rational.sign();
  }
  const auto factor = [&](int64_t bits) {
    return Add(Exactly(linear), Multiply(Exactly(square), LogSum(bits), bits),
               bits);
  };
  if (rational.sign() == 0) {
    if (linear.sign() == 0 || square.sign() == 0) {
      return linear.sign() + square.sign();
    }
    return SignOfNonZero(factor);
  }
  return SignOfNonZero([&](int64_t bits) {
    return Add(Exactly(rational), Multiply(factor(bits), LogSum(bits), bits),
               bits);
  });
}

template <typename Form>
double RealRow::Round(const Form& form, ElementType type) {
  for (int64_t bits = kFirstBits; bits <= kMostBits; bits *= 2) {
    const Ball value = Value(form, bits);
    const double low = RoundTo(type, value.middle - value.radius);
    const double high = RoundTo(type, value.middle + value.radius);
    if (low == high && std::signbit(low) == std::signbit(high)) return low;
    if (type == ElementType::kFloat64) {
      if (ProductOfSizes(value.middle, BigFloat::PowerOfTwo(-60)) >
          value.radius) {
        return value.middle.ToDouble();
      }
      if (bits == kFirstBits && Compare(form, 0.0) == 0) return 0.0;
      continue;
    }
    // A sign is all that two zeros differ in.
    if (low == high) return Compare(form, 0.0) < 0 ? -0.0 : 0.0;
    // Exact, in float64.
    const double middle = 0.5 * (Finite(type, low) + Finite(type, high));
    const double to = RoundTo(type, BigFloat(middle));
    if (to != low && to != high) continue;  // no neighbours yet
    const int side = Compare(form, middle);
    if (side == 0) return to;
    return side > 0 ? high : low;
  }
  return Value(form, kMostBits).middle.ToDouble();
}

double RealRow::Gradient(int64_t i, ElementType type) {
  if (!task_.has_gradient()) return 0.0;
  const BigFloat classes(static_cast<double>(task_.classes));
  return Round(
      Share{i,
            BigFloat(task_.scale) * BigFloat(task_.row_weight) *
                BigFloat(task_.upstream),
            BigFloat(task_.denominator) * classes, AllTargetsTimesClasses(),
            BigFloat(2.0 * task_.z_loss) * classes, TargetTimesClasses(i)},
      type);
}

double RealRow::Probability(int64_t i, ElementType type) {
  const BigFloat one(1.0);
  return Round(Share{i, one, one, one, BigFloat(), BigFloat()}, type);
}

double RealRow::LogProbability(int64_t i, ElementType type) {
  const BigFloat one(1.0);
  return Round(Logarithm{ScaledLogit(i) - scaled_max_, -one, BigFloat(), one},
               type);
}

double RealRow::LogSumExp(ElementType type) {
  const BigFloat one(1.0);
  return Round(Logarithm{scaled_max_, one, BigFloat(), one}, type);
}

double RealRow::Loss(ElementType type) {
  const BigFloat classes(static_cast<double>(task_.classes));
  const BigFloat weight(task_.row_weight);
  BigFloat distances;  // of the targets from the maximum
  for (int64_t i = 0; i < task_.classes; ++i) {
    if (task_.targets.one_hot() && i != task_.label) continue;
    const BigFloat q = TargetTimesClasses(i);
    if (q.sign() == 0) continue;
    distances = distances + q * (scaled_max_ - ScaledLogit(i));
  }
  return Round(Logarithm{weight * distances, weight * AllTargetsTimesClasses(),
                         weight * BigFloat(task_.z_loss) * classes, classes},
               type);
}

}  // namespace lossd::compute
