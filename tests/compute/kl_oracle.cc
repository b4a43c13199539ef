#include "tests/compute/kl_oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lossd::testing {
namespace {

constexpr mpfr_prec_t kBits = 1300;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

ExactReal Real(double value) { return ExactReal(kBits, value); }

using UnaryFunction = int (*)(mpfr_ptr, mpfr_srcptr, mpfr_rnd_t);
ExactReal Apply(UnaryFunction function, const ExactReal& x) {
  ExactReal result(kBits);
  function(result.get(), x.get(), MPFR_RNDN);
  return result;
}

// softmax(logits / T) and its logarithms.
struct Softmax {
  std::vector<ExactReal> shares;
  std::vector<ExactReal> logs;
};
Softmax SoftmaxOf(absl::Span<const double> logits, double temperature) {
  const ExactReal max = Real(*std::max_element(logits.begin(), logits.end()));
  std::vector<ExactReal> x, e;
  ExactReal sum = Real(0);
  for (const double logit : logits) {
    x.push_back((Real(logit) - max) / Real(temperature));
    e.push_back(Apply(mpfr_exp, x.back()));
    sum = sum + e.back();
  }
  const ExactReal log_sum = Apply(mpfr_log, sum);
  Softmax result;
  for (size_t i = 0; i < logits.size(); ++i) {
    result.shares.push_back(e[i] / sum);
    result.logs.push_back(x[i] - log_sum);
  }
  return result;
}

double Normal(std::mt19937_64& random) {
  return std::normal_distribution<double>()(random);
}
double Unit(std::mt19937_64& random) {
  return std::uniform_real_distribution<double>()(random);
}

std::vector<double> SharesOf(absl::Span<const double> logits,
                             double temperature) {
  std::vector<double> shares;
  for (const ExactReal& share : SoftmaxOf(logits, temperature).shares) {
    shares.push_back(RoundTo<double>(share));
  }
  return shares;
}

double LogitNear(Teacher teacher, double z, double temperature,
                 std::mt19937_64& random) {
  switch (teacher) {
    case Teacher::kNear:
      return z + 1e-3 * temperature * Normal(random);
    case Teacher::kVeryNear:
      return z * (1 + 0x1p-51 * static_cast<double>(random() % 4));
    case Teacher::kOffset:
    case Teacher::kPermuted:
      return z;
    case Teacher::kSomeMasked:
      if (random() % 3 == 0) return -kInfinity;
      break;
    default:
      break;
  }
  return 2 * temperature * Normal(random);
}

double Probability(Teacher teacher, std::mt19937_64& random) {
  switch (teacher) {
    case Teacher::kSome:
      return random() % 4 == 0 ? Unit(random) : 0;
    case Teacher::kPowersOfTwo:
      return std::ldexp(1.0, -static_cast<int>(random() % 5));
    case Teacher::kTiny:
      return std::ldexp(Unit(random), -static_cast<int>(random() % 140));
    default:
      return Unit(random) * Unit(random) + 1e-9;
  }
}

}  // namespace

ExactKlRow KlOracle(const compute::KlDivergence& loss,
                    absl::Span<const double> z, absl::Span<const double> t) {
  const Softmax student = SoftmaxOf(z, loss.temperature);
  Softmax teacher;
  if (loss.targets_are_logits) {
    teacher = SoftmaxOf(t, loss.temperature);
  } else {
    for (const double q : t) {
      teacher.shares.push_back(Real(q));
      teacher.logs.push_back(Apply(mpfr_log, Real(q)));
    }
  }
  const ExactReal temperature = Real(loss.temperature);
  ExactReal sum = Real(0), total = Real(0);
  for (size_t i = 0; i < z.size(); ++i) {
    const ExactReal& q = teacher.shares[i];
    total = total + q;
    if (mpfr_zero_p(q.get())) continue;
    sum = sum + q * (teacher.logs[i] - student.logs[i]);
  }
  // Exactly 1, as the sum is not.
  if (loss.targets_are_logits) total = Real(1);
  ExactKlRow row = {temperature * temperature * sum, {}};
  for (size_t i = 0; i < z.size(); ++i) {
    row.slopes.push_back(temperature *
                         (total * student.shares[i] - teacher.shares[i]));
  }
  return row;
}

std::vector<double> DrawTeacher(Teacher teacher, absl::Span<const double> z,
                                double temperature, std::mt19937_64& random) {
  const auto classes = static_cast<int64_t>(z.size());
  std::vector<double> row;
  if (teacher == Teacher::kStudents) return SharesOf(z, temperature);
  if (teacher == Teacher::kUniform) {
    return std::vector<double>(classes, 1.0 / static_cast<double>(classes));
  }
  if (teacher == Teacher::kOneHot) {
    row.assign(classes, 0.0);
    row[random() % classes] = 1;
    return row;
  }
  for (const double logit : z) {
    row.push_back(IsLogits(teacher)
                      ? LogitNear(teacher, logit, temperature, random)
                      : Probability(teacher, random));
  }
  if (teacher == Teacher::kOffset) {
    // So near that the sums are exact.
    for (double& logit : row) logit += 4;
  }
  if (teacher == Teacher::kPermuted)
    std::shuffle(row.begin(), row.end(), random);
  if (teacher == Teacher::kSomeMasked) row[random() % classes] = 1;
  if (teacher == Teacher::kProbabilities) {
    double sum = 0;
    for (const double q : row) sum += q;
    for (double& q : row) q /= sum;
  }
  return row;
}

std::vector<double> DrawStudent(uint64_t kind, int64_t classes,
                                double temperature, std::mt19937_64& random) {
  constexpr double kScales[] = {1, 30, 1e-4, 0, 2, 0, 1, 1};
  std::vector<double> row;
  const double equal = Normal(random);
  for (int64_t i = 0; i < classes; ++i) {
    double logit = kScales[kind % kStudentKinds] * Normal(random);
    switch (kind % kStudentKinds) {
      case 3:
        logit = temperature * Normal(random);
        break;
      case 4:
        logit = std::round(logit);
        break;
      case 5:
        logit = equal;
        break;
      case 7:
        if (random() % 3 == 0) logit = -kInfinity;
        break;
      default:
        break;
    }
    row.push_back(logit);
  }
  const auto chosen = static_cast<int64_t>(random() % classes);
  if (kind % kStudentKinds == 6) row[chosen] += 40 * temperature;
  if (kind % kStudentKinds == 7) row[chosen] = 1;
  return row;
}

}  // namespace lossd::testing
