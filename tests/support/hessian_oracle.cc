#include "tests/support/hessian_oracle.h"

#include <algorithm>
#include <cmath>
#include <variant>

namespace lossd::testing {
namespace {

constexpr mpfr_prec_t kBits = 1536;

ExactReal Real(double value) { return ExactReal(kBits, value); }
ExactReal Abs(ExactReal x) {
  mpfr_abs(x.get(), x.get(), MPFR_RNDN);
  return x;
}
ExactReal Exp(const ExactReal& x) {
  ExactReal e(kBits);
  mpfr_exp(e.get(), x.get(), MPFR_RNDN);
  return e;
}
ExactReal Log(const ExactReal& x) {
  ExactReal log(kBits);
  mpfr_log(log.get(), x.get(), MPFR_RNDN);
  return log;
}
ExactReal Power(const ExactReal& base, const ExactReal& exponent) {
  ExactReal power(kBits);
  mpfr_pow(power.get(), base.get(), exponent.get(), MPFR_RNDN);
  return power;
}
bool IsZero(const ExactReal& x) { return mpfr_zero_p(x.get()) != 0; }

double WeightOf(absl::Span<const double> weights, int64_t i) {
  return weights.empty() ? 1.0 : weights[i];
}

using Matrix = std::vector<std::vector<ExactReal>>;

struct Softmax {
  std::vector<ExactReal> p;
  ExactReal log_sum_exp;
  ExactReal log_size;  // of the terms that it is the sum of
};

Softmax SoftmaxOf(absl::Span<const double> logits, double scale) {
  const double max = *std::max_element(logits.begin(), logits.end());
  Softmax softmax = {{}, Real(0), Real(0)};
  ExactReal sum = Real(0);
  for (const double z : logits) {
    softmax.p.push_back(
        std::isinf(z) ? Real(0) : Exp(Real(scale) * (Real(z) - Real(max))));
    sum = sum + softmax.p.back();
  }
  for (ExactReal& p : softmax.p) p = p / sum;
  const ExactReal largest = Real(scale) * Real(max), log = Log(sum);
  softmax.log_sum_exp = largest + log;
  softmax.log_size = Abs(largest) + log;
  return softmax;
}

// max |v_j - v_k|, and max |v_j|, over the possible classes.
struct Spread {
  ExactReal between;
  ExactReal largest;
};
Spread SpreadOf(const HessianInput& row, absl::Span<const double> v) {
  double low = HUGE_VAL, high = -HUGE_VAL;
  for (size_t i = 0; i < v.size(); ++i) {
    if (std::isinf(row.logits[i])) continue;
    low = std::min(low, v[i]);
    high = std::max(high, v[i]);
  }
  return {Real(high) - Real(low),
          Real(std::max(std::abs(low), std::abs(high)))};
}

// The matrix times v, v being 0 where the class is impossible.
std::vector<ExactReal> Times(const Matrix& h, const HessianInput& row,
                             absl::Span<const double> v) {
  std::vector<ExactReal> product(v.size(), Real(0));
  for (size_t i = 0; i < v.size(); ++i) {
    for (size_t j = 0; j < v.size(); ++j) {
      if (std::isinf(row.logits[j])) continue;
      product[i] = product[i] + h[i][j] * Real(v[j]);
    }
  }
  return product;
}

// c (diag(p) - p p^T).
Matrix Covariance(const std::vector<ExactReal>& p, const ExactReal& c) {
  Matrix h(p.size(), std::vector<ExactReal>(p.size(), Real(0)));
  for (size_t i = 0; i < p.size(); ++i) {
    for (size_t j = 0; j < p.size(); ++j) {
      h[i][j] = c * p[i] * (Real(i == j ? 1 : 0) - p[j]);
    }
  }
  return h;
}

// A logit's a = scale cap tanh(z / cap), or scale z, and its derivatives in z.
struct Capped {
  ExactReal value;
  ExactReal slope;
  ExactReal bend;
};
Capped CappedOf(const compute::SoftmaxCrossEntropy& loss, double z) {
  const ExactReal scale = Real(loss.logit_scale);
  if (std::isinf(z)) return {Real(z), Real(0), Real(0)};
  if (!loss.logit_softcap) return {scale * Real(z), scale, Real(0)};
  const ExactReal cap = Real(*loss.logit_softcap);
  ExactReal tanh(kBits), cosh(kBits);
  const ExactReal x = Real(z) / cap;
  mpfr_tanh(tanh.get(), x.get(), MPFR_RNDN);
  mpfr_cosh(cosh.get(), x.get(), MPFR_RNDN);
  const ExactReal slope = scale / (cosh * cosh);
  return {scale * cap * tanh, slope, Real(-2) * tanh * slope / cap};
}

ExactProduct CappedProduct(const compute::SoftmaxCrossEntropy& loss,
                           const std::vector<ExactReal>& q,
                           const HessianInput& row, absl::Span<const double> v);

ExactProduct Product(const compute::SoftmaxCrossEntropy& loss,
                     const HessianInput& row, absl::Span<const double> v) {
  const Softmax softmax = SoftmaxOf(row.logits, loss.logit_scale);
  const auto classes = static_cast<int64_t>(v.size());
  ExactReal targets = Real(0);
  std::vector<ExactReal> q;
  for (int64_t i = 0; i < classes; ++i) {
    const double t =
        row.targets.empty() ? (i == row.label ? 1.0 : 0.0) : row.targets[i];
    const ExactReal smoothing = Real(loss.label_smoothing);
    q.push_back(Real(WeightOf(loss.class_weights, i)) *
                ((Real(1) - smoothing) * Real(t) +
                 smoothing / Real(static_cast<double>(classes))));
    targets = targets + q.back();
  }
  if (loss.logit_softcap) return CappedProduct(loss, q, row, v);
  const ExactReal square = Real(loss.logit_scale) * Real(loss.logit_scale);
  const ExactReal twice = Real(2) * Real(loss.z_loss);
  const ExactReal t = targets + twice * softmax.log_sum_exp;
  Matrix h = Covariance(softmax.p, square * t);
  for (int64_t i = 0; i < classes; ++i) {
    for (int64_t j = 0; j < classes; ++j) {
      h[i][j] = h[i][j] + square * twice * softmax.p[i] * softmax.p[j];
    }
  }
  const Spread spread = SpreadOf(row, v);
  const ExactReal size =
      square * ((targets + twice * softmax.log_size) * spread.between +
                twice * spread.largest);
  ExactProduct product = {Times(h, row, v), {}};
  for (const ExactReal& p : softmax.p) product.size.push_back(p * size);
  return product;
}

// diag(a') H_a diag(a') + diag(g a''), H_a and g the Hessian and the gradient
// in a.
ExactProduct CappedProduct(const compute::SoftmaxCrossEntropy& loss,
                           const std::vector<ExactReal>& q,
                           const HessianInput& row,
                           absl::Span<const double> v) {
  std::vector<Capped> a;
  const double top = *std::max_element(row.logits.begin(), row.logits.end());
  const ExactReal max = CappedOf(loss, top).value;
  ExactReal sum = Real(0), targets = Real(0), largest = Real(0);
  std::vector<ExactReal> p;
  for (size_t i = 0; i < v.size(); ++i) {
    a.push_back(CappedOf(loss, row.logits[i]));
    p.push_back(Exp(a[i].value - max));
    sum = sum + p[i];
    targets = targets + q[i];
    if (std::isinf(row.logits[i])) continue;
    const ExactReal size = Abs(a[i].slope * Real(v[i]));
    if (mpfr_cmp(size.get(), largest.get()) > 0) largest = size;
  }
  for (ExactReal& share : p) share = share / sum;
  const ExactReal twice = Real(2) * Real(loss.z_loss), log = Log(sum);
  const ExactReal t = targets + twice * (max + log);
  const ExactReal sizes = targets + twice * (Abs(max) + log);
  Matrix h = Covariance(p, t);
  for (size_t i = 0; i < v.size(); ++i) {
    for (size_t j = 0; j < v.size(); ++j) {
      h[i][j] = a[i].slope * (h[i][j] + twice * p[i] * p[j]) * a[j].slope;
    }
    h[i][i] = h[i][i] + (t * p[i] - q[i]) * a[i].bend;
  }
  ExactProduct product = {Times(h, row, v), {}};
  for (size_t i = 0; i < v.size(); ++i) {
    const ExactReal own = Abs(a[i].bend * Real(v[i]));
    product.size.push_back(Abs(a[i].slope) * p[i] * (sizes + twice) * Real(2) *
                               largest +
                           (sizes * p[i] + q[i]) * own);
  }
  return product;
}

ExactReal SigmoidFocalCurvature(const compute::SigmoidFocal& loss, double z,
                                double t_value, ExactReal& size) {
  const ExactReal t = Real(t_value), one = Real(1), gamma = Real(loss.gamma);
  const ExactReal up = Exp(Real(z)), down = Exp(Real(-z));
  const ExactReal p = one / (one + down), rest = one / (one + up);
  const ExactReal m = p * (one - t) + rest * t;
  const ExactReal c = Real(0) - t * Log(p) - (one - t) * Log(rest);
  const ExactReal s = p * rest, sides = one - Real(2) * t;
  const ExactReal tilt = rest - p;  // 1 - 2 p
  const ExactReal power = Power(m, gamma);
  const ExactReal over = gamma * sides / m;
  const ExactReal steep = (gamma - one) * sides * s * c / m;
  ExactReal weight = one;
  if (loss.alpha) {
    weight = Real(*loss.alpha) * t + (one - Real(*loss.alpha)) * (one - t);
  }
  const ExactReal difference = p * (one - t) - rest * t;  // p - t
  const ExactReal outer = weight * power * s;
  size = outer * (one + Abs(over) * (Real(2) * m + Abs(tilt * c) + Abs(steep)));
  return outer * (one + over * (Real(2) * difference + tilt * c + steep));
}

ExactProduct Product(const compute::SigmoidFocal& loss, const HessianInput& row,
                     absl::Span<const double> v) {
  ExactProduct product;
  for (size_t i = 0; i < v.size(); ++i) {
    const ExactReal part = Real(v[i]) / Real(static_cast<double>(v.size()));
    ExactReal size = Real(0), value = Real(0);
    if (!std::isinf(row.logits[i])) {
      value = SigmoidFocalCurvature(loss, row.logits[i], row.targets[i], size);
    }
    product.value.push_back(value * part);
    product.size.push_back(size * Abs(part));
  }
  return product;
}

ExactProduct Product(const compute::KlDivergence& loss, const HessianInput& row,
                     absl::Span<const double> v) {
  const ExactReal temperature = Real(loss.temperature);
  const double max = *std::max_element(row.logits.begin(), row.logits.end());
  ExactReal sum = Real(0), teacher = Real(loss.targets_are_logits ? 1 : 0);
  std::vector<ExactReal> p;
  for (size_t i = 0; i < v.size(); ++i) {
    p.push_back(std::isinf(row.logits[i])
                    ? Real(0)
                    : Exp((Real(row.logits[i]) - Real(max)) / temperature));
    sum = sum + p.back();
    if (!loss.targets_are_logits) teacher = teacher + Real(row.targets[i]);
  }
  for (ExactReal& share : p) share = share / sum;
  ExactProduct product = {Times(Covariance(p, teacher), row, v), {}};
  for (const ExactReal& share : p) {
    product.size.push_back(share * teacher * SpreadOf(row, v).between);
  }
  return product;
}

ExactProduct Product(const compute::SoftmaxFocal& loss, const HessianInput& row,
                     absl::Span<const double> v) {
  const Softmax softmax = SoftmaxOf(row.logits, 1.0);
  const std::vector<ExactReal>& p = softmax.p;
  ExactProduct zero = {std::vector<ExactReal>(v.size(), Real(0)),
                       std::vector<ExactReal>(v.size(), Real(0))};
  ExactReal m = Real(0);
  for (size_t i = 0; i < v.size(); ++i) {
    if (static_cast<int64_t>(i) != row.label) m = m + p[i];
  }
  if (IsZero(m)) return zero;
  const ExactReal& py = p[row.label];
  const ExactReal gamma = Real(loss.gamma), one = Real(1);
  // Where p_y = 0, a = 1 and p_y a' = 0.
  ExactReal a = one, p_slope = Real(0), log = Real(0);
  if (!IsZero(py)) {
    log = Log(py);
    a = Power(m, gamma) - gamma * py * Power(m, gamma - one) * log;
    p_slope =
        py * (Real(0) - gamma * Power(m, gamma - one) * (log + Real(2)) +
              gamma * (gamma - one) * py * Power(m, gamma - Real(2)) * log);
  }
  const ExactReal weight = Real(WeightOf(loss.class_weights, row.label));
  Matrix h = Covariance(p, weight * a);
  for (int64_t i = 0; i < static_cast<int64_t>(v.size()); ++i) {
    for (int64_t j = 0; j < static_cast<int64_t>(v.size()); ++j) {
      // p_y - 1 is -m.
      const ExactReal up = j == row.label ? m : Real(0) - p[j];
      const ExactReal down = i == row.label ? Real(0) - m : p[i];
      h[i][j] = h[i][j] + weight * p_slope * up * down;
    }
  }
  ExactProduct product = {Times(h, row, v), {}};
  const ExactReal parts =
      Power(m, gamma) * ((one + gamma) * (one + gamma) * (Real(3) + Abs(log)));
  for (int64_t i = 0; i < static_cast<int64_t>(v.size()); ++i) {
    const ExactReal share = i == row.label ? m * py : p[i];
    product.size.push_back(weight * parts * share * SpreadOf(row, v).between);
  }
  return product;
}

template <typename Curvature>
ExactProduct Diagonal(absl::Span<const double> v, const Curvature& curvature) {
  ExactProduct product;
  for (size_t i = 0; i < v.size(); ++i) {
    product.value.push_back(curvature(i) * Real(v[i]) /
                            Real(static_cast<double>(v.size())));
    product.size.push_back(Real(0));
  }
  return product;
}

ExactProduct Product(const compute::SigmoidCrossEntropy& loss,
                     const HessianInput& row, absl::Span<const double> v) {
  return Diagonal(v, [&](size_t i) {
    if (std::isinf(row.logits[i])) return Real(0);
    const ExactReal t = Real(row.targets[i]), one = Real(1);
    const ExactReal kept = one - Real(loss.label_smoothing);
    const ExactReal half = Real(loss.label_smoothing) / Real(2);
    const double w = WeightOf(loss.positive_weights, static_cast<int64_t>(i));
    const ExactReal both =
        Real(w) * (kept * t + half) + kept * (one - t) + half;
    const ExactReal e = Exp(Real(row.logits[i]));
    return both * e / ((one + e) * (one + e));
  });
}
ExactProduct Product(const compute::SquaredError&, const HessianInput&,
                     absl::Span<const double> v) {
  return Diagonal(v, [](size_t) { return Real(2); });
}
ExactProduct Product(const compute::Huber& loss, const HessianInput& row,
                     absl::Span<const double> v) {
  return Diagonal(v, [&](size_t i) {
    const ExactReal size = Abs(Real(row.logits[i]) - Real(row.targets[i]));
    return Real(mpfr_cmp_d(size.get(), loss.delta) <= 0 ? 1 : 0);
  });
}
ExactProduct Product(const compute::NegativeLogLikelihood&, const HessianInput&,
                     absl::Span<const double> v) {
  return Diagonal(v, [](size_t) { return Real(0); });
}

}  // namespace

ExactProduct OracleHessianProduct(const compute::LossSpec& spec,
                                  const HessianInput& row,
                                  absl::Span<const double> vector) {
  return std::visit(
      [&]<typename Loss>(const Loss& loss) -> ExactProduct {
        if constexpr (requires { Product(loss, row, vector); }) {
          return Product(loss, row, vector);
        } else {
          return {};
        }
      },
      spec);
}

}  // namespace lossd::testing
