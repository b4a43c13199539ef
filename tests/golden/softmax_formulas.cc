// The losses over a softmax: cross-entropy, KL divergence, focal.
#include <cstddef>
#include <utility>

#include "tests/golden/formulas.h"

namespace lossd::golden {
namespace {

struct Softmax {
  ExactReal log_sum_exp;
  Reals p = {};
  Reals log_p = {};
};

Softmax SoftmaxOf(const Reals& a) {
  ExactReal max = a[0];
  for (const ExactReal& a_i : a) {
    if (max < a_i) max = a_i;
  }
  ExactReal sum(max.precision_bits(), 0.0);
  Reals e;
  for (const ExactReal& a_i : a) {
    e.push_back(Exp(a_i - max));
    sum = sum + e.back();
  }
  const ExactReal log_sum = Log(sum);
  Softmax result = {max + log_sum};
  for (size_t i = 0; i < a.size(); ++i) {
    result.p.push_back(e[i] / sum);
    result.log_p.push_back(a[i] - max - log_sum);
  }
  return result;
}

ExactReal Dot(const Reals& a, const Reals& b) {
  ExactReal sum(a[0].precision_bits(), 0.0);
  for (size_t i = 0; i < a.size(); ++i) sum = sum + a[i] * b[i];
  return sum;
}

// v_i - p.v as the sum of p_j (v_i - v_j): exactly 0 where all are equal.
ExactReal AboveMean(const Reals& p, const Reals& v, size_t i) {
  ExactReal sum(v[i].precision_bits(), 0.0);
  for (size_t j = 0; j < v.size(); ++j) sum = sum + p[j] * (v[i] - v[j]);
  return sum;
}

// p o (v - p.v)
Reals Spread(const Reals& p, const Reals& v) {
  Reals result;
  for (size_t i = 0; i < p.size(); ++i) {
    result.push_back(p[i] * AboveMean(p, v, i));
  }
  return result;
}

// What cross-entropy takes the softmax of, a = s k tanh(z / k), and its first
// and second derivatives. -inf stays -inf, an impossible class.
struct CappedLogits {
  Reals a;
  Reals slope;
  Reals curve;
};

CappedLogits Cap(const Options& options, const Reals& logits) {
  const mpfr_prec_t bits = logits[0].precision_bits();
  const ExactReal one(bits, 1), two(bits, 2);
  const ExactReal scale(bits, options.logit_scale.value_or(1.0));
  CappedLogits result;
  for (const ExactReal& z : logits) {
    if (!options.logit_softcap.has_value() || !IsFinite(z)) {
      result.a.push_back(scale * z);
      result.slope.push_back(scale);
      result.curve.emplace_back(bits, 0.0);
      continue;
    }
    const ExactReal cap(bits, *options.logit_softcap);
    const ExactReal tanh = Tanh(z / cap);
    const ExactReal fall = one - tanh * tanh;
    result.a.push_back(scale * cap * tanh);
    result.slope.push_back(scale * fall);
    result.curve.push_back(-(scale * two * tanh * fall / cap));
  }
  return result;
}

// q_i = w_i ((1 - eps) t_i + eps / C)
Reals SmoothedTargets(const Options& options, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const size_t classes = row.logits.size();
  const ExactReal smoothing(bits, options.label_smoothing.value_or(0.0));
  const ExactReal one(bits, 1), count(bits, static_cast<double>(classes));
  Reals q;
  for (size_t i = 0; i < classes; ++i) {
    const bool is_label = row.label == static_cast<int64_t>(i);
    const ExactReal t = row.targets.empty() ? ExactReal(bits, is_label ? 1 : 0)
                                            : row.targets[i];
    q.push_back((one - smoothing) * t + smoothing / count);
    if (options.class_weights.empty()) continue;
    q[i] = q[i] * ExactReal(bits, options.class_weights[i]);
  }
  return q;
}

ExactReal Sum(const Reals& values) {
  ExactReal sum(values[0].precision_bits(), 0.0);
  for (const ExactReal& value : values) sum = sum + value;
  return sum;
}

RowResult CrossEntropy(const GoldenCase& golden, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const ExactReal two(bits, 2);
  const ExactReal z_loss(bits, golden.options.z_loss.value_or(0.0));
  const CappedLogits capped = Cap(golden.options, row.logits);
  const Reals q = SmoothedTargets(golden.options, row);
  const Softmax softmax = SoftmaxOf(capped.a);
  const ExactReal& lse = softmax.log_sum_exp;

  RowResult result = {z_loss * lse * lse};
  const ExactReal total = Sum(q) + two * z_loss * lse;
  Reals slopes;  // with respect to a
  for (size_t i = 0; i < q.size(); ++i) {
    if (!IsZero(q[i])) result.loss = result.loss - q[i] * softmax.log_p[i];
    slopes.push_back(total * softmax.p[i] - q[i]);
    result.gradient.push_back(capped.slope[i] * slopes[i]);
  }
  result.log_sum_exp = lse;
  if (row.vector.empty()) return result;

  Reals moved;  // a's change along the vector
  for (size_t i = 0; i < q.size(); ++i) {
    moved.push_back(capped.slope[i] * row.vector[i]);
  }
  const Reals spread = Spread(softmax.p, moved);
  const ExactReal lse_moved = Dot(softmax.p, moved);
  for (size_t i = 0; i < q.size(); ++i) {
    const ExactReal slope_moved =
        total * spread[i] + two * z_loss * softmax.p[i] * lse_moved;
    result.product.push_back(capped.slope[i] * slope_moved +
                             slopes[i] * capped.curve[i] * row.vector[i]);
  }
  return result;
}

Reals Over(const Reals& values, const ExactReal& divisor) {
  Reals result;
  for (const ExactReal& value : values) result.push_back(value / divisor);
  return result;
}

RowResult KlDivergence(const GoldenCase& golden, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const ExactReal temperature(bits, golden.options.temperature.value_or(1.0));
  const Softmax student = SoftmaxOf(Over(row.logits, temperature));
  Reals q = row.targets, log_q;
  if (golden.options.targets_are_logits) {
    Softmax teacher = SoftmaxOf(Over(row.targets, temperature));
    q = std::move(teacher.p);
    log_q = std::move(teacher.log_p);
  } else {
    for (const ExactReal& q_i : q) log_q.push_back(Log(q_i));
  }
  // A teacher's probabilities add up to 1, whatever they are rounded to.
  const ExactReal total =
      golden.options.targets_are_logits ? ExactReal(bits, 1) : Sum(q);
  RowResult result = {ExactReal(bits, 0)};
  for (size_t i = 0; i < q.size(); ++i) {
    if (!IsZero(q[i])) {
      result.loss = result.loss + q[i] * (log_q[i] - student.log_p[i]);
    }
    result.gradient.push_back(temperature * (total * student.p[i] - q[i]));
  }
  result.loss = temperature * temperature * result.loss;
  if (row.vector.empty()) return result;
  for (const ExactReal& spread : Spread(student.p, row.vector)) {
    result.product.push_back(total * spread);
  }
  return result;
}

// Where p_y is 0, p_y ln p_y is: the gradient is cross-entropy's. One class
// alone has loss 0.
RowResult Focal(const GoldenCase& golden, const Row& row) {
  const mpfr_prec_t bits = row.logits[0].precision_bits();
  const size_t classes = row.logits.size();
  const ExactReal zero(bits, 0), one(bits, 1);
  const ExactReal gamma(bits, golden.options.gamma.value_or(2.0));
  const auto& weights = golden.options.class_weights;
  const ExactReal weight(bits, weights.empty() ? 1.0 : weights[row.label]);
  const Softmax softmax = SoftmaxOf(row.logits);
  const ExactReal& p_y = softmax.p[row.label];
  const ExactReal minus_log = -softmax.log_p[row.label];
  const ExactReal rest = one - p_y;  // 1 - p_y
  RowResult result = {zero, Reals(classes, zero)};
  result.product.resize(row.vector.size(), zero);
  if (IsZero(rest) || IsZero(weight)) return result;

  const ExactReal p_log = IsZero(p_y) ? zero : p_y * minus_log;
  const ExactReal power = Pow(rest, gamma);
  const ExactReal steep = power + gamma * power / rest * p_log;  // a
  result.loss = weight * power * minus_log;
  Reals slopes = softmax.p;  // p - e_y
  slopes[row.label] = slopes[row.label] - one;
  for (size_t i = 0; i < classes; ++i) {
    result.gradient[i] = weight * steep * slopes[i];
  }
  if (row.vector.empty()) return result;

  // p_y da/dp_y, and how fast ln p_y moves along the vector.
  const ExactReal two(bits, 2);
  const ExactReal p_steep_slope =
      gamma * power / rest *
      (p_log - two * p_y - (gamma - one) * p_y / rest * p_log);
  const ExactReal log_moved = AboveMean(softmax.p, row.vector, row.label);
  const Reals spread = Spread(softmax.p, row.vector);
  for (size_t i = 0; i < classes; ++i) {
    result.product[i] =
        weight * (p_steep_slope * log_moved * slopes[i] + steep * spread[i]);
  }
  return result;
}

}  // namespace

RowResult SoftmaxRow(const GoldenCase& golden, const Row& row) {
  if (golden.loss == Loss::kKlDivergence) return KlDivergence(golden, row);
  if (golden.loss == Loss::kSoftmaxFocal) return Focal(golden, row);
  return CrossEntropy(golden, row);
}

}  // namespace lossd::golden
