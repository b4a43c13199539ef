#include "client/examples/iris_newton/newton.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "absl/strings/str_cat.h"

namespace lossd::iris {
namespace {

using Vector = std::vector<double>;

constexpr int kMaxSteps = 100;
constexpr double kShortest = 0x1p-30;

double Dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}
double Norm(const Vector& a) { return std::sqrt(Dot(a, a)); }

// a + factor b.
Vector Sum(const Vector& a, double factor, const Vector& b) {
  Vector sum = a;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += factor * b[i];
  return sum;
}

struct Direction {
  Vector d;
  int products = 0;
};

// Solves H d = -g by conjugate gradients from d = 0.
absl::StatusOr<Direction> SolveForDirection(const HessianProduct& hessian,
                                            const Vector& x, const Vector& g) {
  const double enough = std::min(0.1, Norm(g)) * Norm(g);
  Direction result = {Vector(g.size()), 0};
  Vector residual = Sum(Vector(g.size()), -1.0, g);
  Vector p = residual;
  Vector product(g.size());
  // In exact arithmetic as many steps as parameters; rounding may ask for more.
  for (size_t i = 0; i < 2 * g.size() && Norm(residual) > enough; ++i) {
    const absl::Status status = hessian(x, p, absl::MakeSpan(product));
    if (!status.ok()) return status;
    ++result.products;
    const double curvature = Dot(p, product);
    if (!(curvature > 0.0)) break;  // flat: what there is will do
    const double squared = Dot(residual, residual);
    const double length = squared / curvature;
    result.d = Sum(result.d, length, p);
    residual = Sum(residual, -length, product);
    p = Sum(residual, Dot(residual, residual) / squared, p);
  }
  return result;
}

}  // namespace

absl::StatusOr<std::vector<double>> MinimizeByNewton(
    const examples::Objective& objective, const HessianProduct& hessian,
    int64_t parameters, double tolerance,
    const std::function<void(const NewtonStep&)>& report) {
  Vector x(parameters), g(parameters), next_g(parameters);
  absl::StatusOr<double> value = objective(x, absl::MakeSpan(g));
  if (!value.ok()) return value.status();
  report({{0, *value, Norm(g)}, 0.0, 0});
  for (int number = 1; number <= kMaxSteps && Norm(g) > tolerance; ++number) {
    const auto direction = SolveForDirection(hessian, x, g);
    if (!direction.ok()) return direction.status();
    const double slope = Dot(g, direction->d);
    double length = 1.0;
    for (;; length /= 2) {
      if (length < kShortest) {
        return absl::InternalError(
            absl::StrCat("Newton's step ", number, " lowers nothing"));
      }
      const Vector next = Sum(x, length, direction->d);
      const auto next_value = objective(next, absl::MakeSpan(next_g));
      if (!next_value.ok()) return next_value.status();
      // At the end the value's last digit cannot tell any more; the gradient's
      // norm can.
      const bool is_lower = *next_value <= *value + 1e-4 * length * slope;
      if (!is_lower && Norm(next_g) > 0.5 * Norm(g)) continue;
      x = next;
      g = next_g;
      value = next_value;
      break;
    }
    report({{number, *value, Norm(g)}, length, direction->products});
  }
  return x;
}

}  // namespace lossd::iris
