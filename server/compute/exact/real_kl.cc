#include "server/compute/exact/real_kl.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

namespace lossd::compute {
namespace {

constexpr int64_t kFirstBits = 256;
// Beyond it nothing is lost that a double shows, unless terms up to 2^1100 were
// made to cancel to it.
constexpr int64_t kMostBits = kFirstBits << 6;
// An exponential below exp(kNothing), under 2^-5770, is not taken: no factor
// raises it to where a double sees it.
constexpr double kNothing = -4000.0;
constexpr int64_t kNothingExponent = -5700;
// Results known to 2^kLeastExponent are known to the last bit of the smallest
// double.
constexpr int64_t kLeastExponent = -1082;

Ball Negative(const Ball& a) { return {-a.middle, a.radius}; }

Ball OnePlus(const Ball& a, int64_t bits) {
  return Add(Exactly(BigFloat(1.0)), a, bits);
}

// x to a relative error of 2^-bits beside the radius.
Ball Within(const BigFloat& x, const BigFloat& radius, int64_t bits) {
  if (x.sign() == 0) return {x, radius};
  return {x, SumOfRadii(radius, BigFloat::PowerOfTwo(x.exponent() + 1 - bits))};
}

// ln(1 + rest), rest >= 0.
Ball LogOfOnePlus(const Ball& rest, int64_t bits) {
  return Within(Log1p(rest.middle, bits), rest.radius, bits);
}

// ln(x) for x > 0.
Ball LogOf(double x, int64_t bits) {
  int exponent = 0;
  const double mantissa = 2.0 * std::frexp(x, &exponent);
  const BigFloat one(1.0);
  const Ball high = Multiply(Exactly(BigFloat(exponent - 1.0)),
                             Within(Log1p(one, bits), BigFloat(), bits), bits);
  return Add(high, LogOfOnePlus(Exactly(BigFloat(mantissa) - one), bits), bits);
}

// logit - max, rounded, and what that lost (Knuth).
std::pair<double, double> DistanceOf(double logit, double max) {
  const double sum = logit - max;
  if (std::isinf(sum)) return {sum, 0.0};
  const double part = sum - logit;
  return {sum, (logit - (sum - part)) + (-max - part)};
}

bool IsPowerOfTwo(double x) {
  int exponent = 0;
  return std::frexp(x, &exponent) == 0.5;
}

bool IsKnown(const Ball& ball) {
  if (ball.radius.sign() == 0) return true;
  if (ball.radius.exponent() < kLeastExponent) return true;
  return ball.middle.sign() != 0 &&
         ball.middle.exponent() - ball.radius.exponent() > 60;
}

RealKl::Number NumberOf(const BigFloat& x) {
  const double high = x.ToDouble();
  // A negative number too small for a double is 0 without a sign.
  if (high == 0.0) return {0.0, 0.0};
  if (std::isinf(high)) return {high, 0.0};
  return {high, (x - BigFloat(high)).ToDouble()};
}

template <typename Value>
RealKl::Number Known(const Value& value) {
  for (int64_t bits = kFirstBits;; bits *= 2) {
    const Ball ball = value(bits);
    if (IsKnown(ball) || bits >= kMostBits) return NumberOf(ball.middle);
  }
}

}  // namespace

RealKl::RealKl(const KlTask& task)
    : task_(task), temperature_(task.temperature) {
  const double* const z = task.z;
  const double* const t = task.t;
  student_largest_ = std::find(z, z + task.classes, task.z_max) - z;
  if (task.teacher_is_logits) {
    teacher_largest_ = std::find(t, t + task.classes, task.t_max) - t;
  }
  for (int64_t i = 0; i < task.classes; ++i) {
    if (!task.teacher_is_logits) targets_ = targets_ + BigFloat(t[i]);
    if (std::isinf(z[i])) continue;
    ++possible_;
    if (z[i] != task.z_max) all_equal_ = false;
  }
}

Ball RealKl::Exponential(double logit, double max, int64_t bits) const {
  if (logit == max) return Exactly(BigFloat(1.0));
  if (std::isinf(logit)) return Exactly(BigFloat());
  return ExponentialOf(BigFloat(logit) - BigFloat(max), bits);
}

Ball RealKl::Exponential(const Distance& distance, int64_t bits) const {
  if (distance.first == 0.0) return Exactly(BigFloat(1.0));
  return ExponentialOf(BigFloat(distance.first) + BigFloat(distance.second),
                       bits);
}

Ball RealKl::ExponentialOf(const BigFloat& distance, int64_t bits) const {
  // What the quotient lost is under 2^-52 of what the exponential loses.
  const BigFloat x = Quotient(distance, temperature_, bits + 64);
  if (x < BigFloat(kNothing)) {
    return {BigFloat(), BigFloat::PowerOfTwo(kNothingExponent)};
  }
  return Within(Exp(x, bits + 1), BigFloat(), bits);
}

Ball RealKl::RestOf(const double* logits, double max, int64_t bits) const {
  Ball rest;
  bool has_largest = false;
  for (int64_t i = 0; i < task_.classes; ++i) {
    if (logits[i] == max && !std::exchange(has_largest, true)) continue;
    rest = Add(rest, Exponential(logits[i], max, bits), bits);
  }
  return rest;
}

RealKl::Level& RealKl::LevelOf(int64_t bits) {
  auto& level = levels_[std::bit_width(static_cast<uint64_t>(bits)) -
                        std::bit_width(static_cast<uint64_t>(kFirstBits))];
  if (!level) {
    level.emplace();
    level->student_rest = RestOf(task_.z, task_.z_max, bits);
    if (task_.teacher_is_logits) {
      level->teacher_rest = RestOf(task_.t, task_.t_max, bits);
    }
  }
  return *level;
}

Ball RealKl::SumBut(int64_t i, int64_t largest, const Ball& rest,
                    const Ball& own, int64_t bits) const {
  if (i == largest) return rest;
  return OnePlus(Add(rest, Negative(own), bits), bits);
}

// F e_i - f_i S without the terms that cancel: i's own.
Ball RealKl::SlopeBy(int64_t i, int64_t bits) {
  const Level& level = LevelOf(bits);
  const Ball e = Exponential(task_.z[i], task_.z_max, bits);
  const Ball students =
      SumBut(i, student_largest_, level.student_rest, e, bits);
  Ball f = Exactly(BigFloat());
  Ball teachers = f;
  Ball whole = OnePlus(level.student_rest, bits);
  if (task_.teacher_is_logits) {
    f = Exponential(task_.t[i], task_.t_max, bits);
    teachers = SumBut(i, teacher_largest_, level.teacher_rest, f, bits);
    whole = Multiply(whole, OnePlus(level.teacher_rest, bits), bits);
  } else {
    f = Exactly(BigFloat(task_.t[i]));
    teachers = Exactly(targets_ - f.middle);
  }
  // With e_i = f_i it is F - S that is multiplied.
  const Ball difference =
      task_.teacher_is_logits && IsMatched(i)
          ? Multiply(Between(bits), e, bits)
          : Add(Multiply(teachers, e, bits),
                Negative(Multiply(students, f, bits)), bits);
  return Multiply(Exactly(temperature_), Divide(difference, whole, bits), bits);
}

RealKl::Number RealKl::Slope(int64_t i) {
  const double z = task_.z[i];
  const double t = task_.t[i];
  if (!task_.teacher_is_logits && all_equal_) {
    const BigFloat q(t);
    if (std::isinf(z)) return NumberOf(-temperature_ * q);
    const BigFloat count(static_cast<double>(possible_));
    return NumberOf(
        Quotient(temperature_ * (targets_ - count * q), count, 160));
  }
  if (task_.teacher_is_logits && IsMatched(i) &&
      (std::isinf(z) ||
       (unmatched().student.empty() && unmatched().teacher.empty()))) {
    return {0.0, 0.0};
  }
  return Known([&](int64_t bits) { return SlopeBy(i, bits); });
}

const RealKl::Unmatched& RealKl::unmatched() {
  if (unmatched_) return *unmatched_;
  unmatched_ = Unmatched{false, {}, {}};
  bool known = true;
  const auto distances = [&](const double* logits, double max) {
    std::vector<Distance> sorted;
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (std::isinf(logits[i])) continue;
      sorted.push_back(DistanceOf(logits[i], max));
      known = known && !std::isinf(sorted.back().first);
    }
    std::sort(sorted.begin(), sorted.end());
    return sorted;
  };
  const auto student = distances(task_.z, task_.z_max);
  const auto teacher = distances(task_.t, task_.t_max);
  unmatched_->known = known;
  std::set_difference(student.begin(), student.end(), teacher.begin(),
                      teacher.end(), std::back_inserter(unmatched_->student));
  std::set_difference(teacher.begin(), teacher.end(), student.begin(),
                      student.end(), std::back_inserter(unmatched_->teacher));
  return *unmatched_;
}

// Whether the class has the same distance on both sides.
bool RealKl::IsMatched(int64_t i) {
  if (!unmatched().known) return false;
  const double z = task_.z[i];
  const double t = task_.t[i];
  if (std::isinf(z) || std::isinf(t)) return z == t;
  return DistanceOf(z, task_.z_max) == DistanceOf(t, task_.t_max);
}

const Ball& RealKl::Between(int64_t bits) {
  std::optional<Ball>& between = LevelOf(bits).between;
  if (between) return *between;
  between.emplace();
  for (const Distance& distance : unmatched().teacher) {
    *between = Add(*between, Exponential(distance, bits), bits);
  }
  for (const Distance& distance : unmatched().student) {
    *between = Add(*between, Negative(Exponential(distance, bits)), bits);
  }
  return *between;
}

// ln S - ln F, from their difference where that is known: it may be far below
// what they have in common.
Ball RealKl::LogOfSumsBy(int64_t bits) {
  const Level& level = LevelOf(bits);
  if (!unmatched().known) {
    return Add(LogOfOnePlus(level.student_rest, bits),
               Negative(LogOfOnePlus(level.teacher_rest, bits)), bits);
  }
  const Ball& between = Between(bits);
  const bool teacher_is_larger = between.middle.sign() > 0;
  const Ball& rest =
      teacher_is_larger ? level.student_rest : level.teacher_rest;
  Ball ratio = Divide(between, OnePlus(rest, bits), bits);
  ratio.middle = Abs(ratio.middle);
  const Ball log = LogOfOnePlus(ratio, bits);
  return teacher_is_larger ? Negative(log) : log;
}

Ball RealKl::LossBy(int64_t bits) {
  const Level& level = LevelOf(bits);
  const BigFloat z_max(task_.z_max);
  const Ball temperature = Exactly(temperature_);
  Ball sum;
  if (task_.teacher_is_logits) {
    const BigFloat between = z_max - BigFloat(task_.t_max);
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (std::isinf(task_.t[i])) continue;
      const BigFloat d = BigFloat(task_.t[i]) - BigFloat(task_.z[i]) + between;
      if (d.sign() == 0) continue;
      sum = Add(sum,
                Multiply(Exponential(task_.t[i], task_.t_max, bits), Exactly(d),
                         bits),
                bits);
    }
    const Ball logs = LogOfSumsBy(bits);
    sum = Add(Divide(sum, OnePlus(level.teacher_rest, bits), bits),
              Multiply(temperature, logs, bits), bits);
  } else {
    BigFloat distances;
    for (int64_t i = 0; i < task_.classes; ++i) {
      if (task_.t[i] == 0.0) continue;
      const BigFloat q(task_.t[i]);
      distances = distances + q * (z_max - BigFloat(task_.z[i]));
      sum = Add(sum, Multiply(Exactly(q), LogOf(task_.t[i], bits), bits), bits);
    }
    sum = Add(sum,
              Multiply(Exactly(targets_),
                       LogOfOnePlus(level.student_rest, bits), bits),
              bits);
    sum = Add(Multiply(temperature, sum, bits), Exactly(distances), bits);
  }
  return Multiply(temperature, sum, bits);
}

// The loss over T^2 ln 2, where all possible logits are equal and all
// probabilities are powers of two: there alone it may be 0, since any other
// prime factor of a probability, or of the number of classes, makes its own
// part of the logarithm positive.
std::optional<BigFloat> RealKl::LossInPowersOfTwo() const {
  if (task_.teacher_is_logits || !all_equal_ ||
      !std::has_single_bit(static_cast<uint64_t>(possible_))) {
    return std::nullopt;
  }
  const double log_count =
      std::bit_width(static_cast<uint64_t>(possible_)) - 1.0;
  BigFloat sum;
  for (int64_t i = 0; i < task_.classes; ++i) {
    if (task_.t[i] == 0.0) continue;
    if (!IsPowerOfTwo(task_.t[i])) return std::nullopt;
    int exponent = 0;
    std::frexp(task_.t[i], &exponent);
    sum = sum + BigFloat(task_.t[i]) * BigFloat(exponent - 1.0 + log_count);
  }
  return sum;
}

RealKl::Number RealKl::Loss() {
  if (const auto rational = LossInPowersOfTwo()) {
    return NumberOf(temperature_ * temperature_ * *rational *
                    Log1p(BigFloat(1.0), 160));
  }
  return Known([&](int64_t bits) { return LossBy(bits); });
}

}  // namespace lossd::compute
