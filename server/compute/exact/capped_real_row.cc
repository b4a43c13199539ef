#include "server/compute/exact/capped_real_row.h"

#include <algorithm>
#include <cmath>

namespace lossd::compute {
namespace {

constexpr int64_t kFirstBits = 192;
// Far beyond what any row of doubles can ask for; only so that there is an end.
constexpr int64_t kMostBits = 1 << 16;
// exp(x) is below 2^-2^38 for x below it.
constexpr int64_t kLeastExponent = -(int64_t{1} << 38);
// Less than half the smallest float64.
constexpr int64_t kTooSmallExponent = -1080;

Ball Number(double value) { return Exactly(BigFloat(value)); }

Ball Negative(const Ball& ball) { return {-ball.middle, ball.radius}; }

// exp(x) for x <= 0, whose radius is below 1.
Ball ExpOf(const Ball& x, int64_t bits) {
  if (x.middle < BigFloat(static_cast<double>(kLeastExponent))) {
    return {BigFloat(), BigFloat::PowerOfTwo(kLeastExponent)};
  }
  const BigFloat e = Exp(x.middle, bits);
  // exp(r) - 1 is below 2 r.
  const BigFloat spread = ProductOfSizes(
      e,
      SumOfRadii(SumOfRadii(x.radius, x.radius), BigFloat::PowerOfTwo(-bits)));
  return {e, spread};
}

}  // namespace

CappedRealRow::CappedRealRow(const RowTask& task, double max)
    : task_(task), max_(max) {
  for (int64_t i = 0; i < task.classes; ++i) {
    const double logit = task.Logit(i);
    if (task.label != kNoLabel &&
        !(task.targets.one_hot() && i != task.label)) {
      all_targets_ = all_targets_ + TargetTimesClasses(i);
    }
    if (logit == max) {
      ++count_;
    } else if (!std::isinf(logit)) {
      const double below = task.capped->below[i];
      second_ = has_rest_ ? std::max(second_, below) : below;
      has_rest_ = true;
    }
  }
}

BigFloat CappedRealRow::TargetTimesClasses(int64_t i) const {
  const RowTargets& targets = task_.targets;
  const BigFloat smoothing(targets.smoothing);
  const BigFloat kept = BigFloat(1.0) - smoothing;
  const BigFloat classes(static_cast<double>(task_.classes));
  return BigFloat(targets.class_weight(i)) *
         (kept * BigFloat(task_.Target(i)) * classes + smoothing);
}

Ball CappedRealRow::Tail(int64_t i) const {
  const BigFloat logit(std::abs(task_.Logit(i)));
  if (logit.sign() == 0) return Number(1.0);
  // The quotient's error stays below that of the exponential, which takes its
  // size for a factor: 2^39 at most.
  const BigFloat x =
      Quotient(-(logit + logit), BigFloat(task_.capped->cap), bits_ + 40);
  return ExpOf({x, BigFloat::PowerOfTwo(-bits_)}, bits_);
}

Ball CappedRealRow::CappedLogit(int64_t i) const {
  const double logit = task_.Logit(i);
  if (logit == 0.0) return Number(0.0);
  const Ball tail = Tail(i);
  const Ball one = Number(1.0);
  const Ball size =
      Divide(Add(one, Negative(tail), bits_), Add(one, tail, bits_), bits_);
  const BigFloat top = BigFloat(task_.scale) * BigFloat(task_.capped->cap);
  return Multiply(Exactly(logit < 0.0 ? -top : top), size, bits_);
}

Ball CappedRealRow::Slope(int64_t i) const {
  const Ball tail = Tail(i);
  const Ball sum = Add(Number(1.0), tail, bits_);
  return Divide(Multiply(Number(4.0), tail, bits_), Multiply(sum, sum, bits_),
                bits_);
}

Ball CappedRealRow::Below(int64_t i) const {
  if (task_.Logit(i) == max_) return Number(0.0);
  return Add(CappedLogit(i), Negative(max_logit_), bits_);
}

Ball CappedRealRow::Exponential(int64_t i) const {
  const double logit = task_.Logit(i);
  if (logit == max_) return Number(1.0);
  if (std::isinf(logit)) return Number(0.0);
  return ExpOf(Below(i), bits_);
}

void CappedRealRow::Know(int64_t bits) {
  if (bits_ == bits) return;
  bits_ = bits;
  const std::byte* const logits = task_.logits;
  int64_t largest = 0;
  while (LoadElement(task_.type, logits, largest) != max_) ++largest;
  max_logit_ = CappedLogit(largest);
  rest_ = Ball();
  // Below this, up to 2^40 classes cannot be seen beside the largest.
  const double unseen = second_ - 0.7 * static_cast<double>(bits + 64) - 1.0;
  bool skips = false;
  for (int64_t i = 0; i < task_.classes; ++i) {
    const double logit = task_.Logit(i);
    if (logit == max_ || std::isinf(logit)) continue;
    if (task_.capped->below[i] < unseen) {
      skips = true;
    } else {
      rest_ = Add(rest_, Exponential(i), bits + 64);
    }
  }
  if (skips) {
    rest_.radius =
        SumOfRadii(rest_.radius,
                   ProductOfSizes(rest_.middle, BigFloat::PowerOfTwo(-bits)));
  }
  const Ball others = Number(static_cast<double>(count_ - 1));
  const Ball more = Add(others, rest_, bits);
  // The derivative is at most 1.
  log_sum_ = Shortened(Log1p(more.middle, bits), more.radius, bits);
}

// With M logits at the maximum, K, T and D as in docs/numerics.md, and the
// slope h_i: h_i K (T E_i - q_i (M + R)) / (D (M + R)). Without R, as without a
// z-loss, all but the slope is rational, and is 0 only if it is found to be.
Ball CappedRealRow::GradientBall(int64_t i) const {
  const double logit = task_.Logit(i);
  const BigFloat classes(static_cast<double>(task_.classes));
  Ball total = Exactly(all_targets_);
  if (task_.z_loss != 0.0) {
    const Ball lse = Add(max_logit_, log_sum_, bits_);
    const BigFloat factor = BigFloat(2.0 * task_.z_loss) * classes;
    total = Add(total, Multiply(Exactly(factor), lse, bits_), bits_);
  }
  const BigFloat count(static_cast<double>(count_));
  const BigFloat own = TargetTimesClasses(i);
  Ball minus = Exactly(-own * count);
  if (has_rest_) {
    minus = Add(minus, Multiply(Exactly(-own), rest_, bits_), bits_);
  }
  const Ball part =
      logit == max_ ? total : Multiply(total, Exponential(i), bits_);
  const Ball difference = Add(part, minus, bits_);
  const BigFloat up = BigFloat(task_.scale) * BigFloat(task_.row_weight) *
                      BigFloat(task_.upstream);
  const Ball down = Multiply(Exactly(BigFloat(task_.denominator) * classes),
                             Add(Exactly(count), rest_, bits_), bits_);
  return Multiply(Slope(i),
                  Divide(Multiply(Exactly(up), difference, bits_), down, bits_),
                  bits_);
}

Ball CappedRealRow::LossBall() const {
  const BigFloat classes(static_cast<double>(task_.classes));
  Ball value = Multiply(Exactly(all_targets_), log_sum_, bits_);
  for (int64_t i = 0; i < task_.classes; ++i) {
    if (task_.targets.one_hot() && i != task_.label) continue;
    const BigFloat q = TargetTimesClasses(i);
    if (q.sign() == 0) continue;
    value = Add(value, Multiply(Exactly(-q), Below(i), bits_), bits_);
  }
  if (task_.z_loss != 0.0) {
    const Ball lse = Add(max_logit_, log_sum_, bits_);
    const BigFloat factor = BigFloat(task_.z_loss) * classes;
    value =
        Add(value, Multiply(Exactly(factor), Multiply(lse, lse, bits_), bits_),
            bits_);
  }
  return Divide(Multiply(Number(task_.row_weight), value, bits_),
                Exactly(classes), bits_);
}

template <typename Value>
double CappedRealRow::Round(ElementType type, const Value& value) {
  Ball ball;
  for (int64_t bits = kFirstBits; bits <= kMostBits; bits *= 2) {
    Know(bits);
    ball = value();
    if (ball.radius.sign() == 0 ||
        ProductOfSizes(ball.middle, BigFloat::PowerOfTwo(-60)) > ball.radius) {
      break;
    }
    const BigFloat most = SumOfRadii(Abs(ball.middle), ball.radius);
    if (most.exponent() < kTooSmallExponent) break;
  }
  const double rounded = ball.middle.ToDouble();
  return WithElementType(type, [&](auto zero) {
    return ToDouble(FromDouble<decltype(zero)>(rounded));
  });
}

double CappedRealRow::Gradient(int64_t i, ElementType type) {
  if (!task_.has_gradient() || std::isinf(task_.Logit(i))) return 0.0;
  return Round(type, [&] { return GradientBall(i); });
}

double CappedRealRow::Probability(int64_t i, ElementType type) {
  return Round(type, [&] {
    const BigFloat count(static_cast<double>(count_));
    return Divide(Exponential(i), Add(Exactly(count), rest_, bits_), bits_);
  });
}

double CappedRealRow::LogProbability(int64_t i, ElementType type) {
  return Round(type, [&] { return Add(Below(i), Negative(log_sum_), bits_); });
}

double CappedRealRow::LogSumExp(ElementType type) {
  return Round(type, [&] { return Add(max_logit_, log_sum_, bits_); });
}

double CappedRealRow::Loss(ElementType type) {
  return Round(type, [&] { return LossBall(); });
}

}  // namespace lossd::compute
