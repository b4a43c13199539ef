#include "tests/support/distributions.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "server/compute/narrow_float.h"
#include "tests/support/elements.h"

namespace lossd::testing {
namespace {

constexpr Distribution kAll[] = {
    Distribution::kUniform,
    Distribution::kNormal001,
    Distribution::kNormal1,
    Distribution::kNormal5,
    Distribution::kNormal10,
    Distribution::kNormal30,
    Distribution::kMargin,
    Distribution::kEqual,
    Distribution::kOffset,
    Distribution::kSubnormalLogits,
    Distribution::kTinyProbabilities,
    Distribution::kLogProbabilities,
    Distribution::kMasked,
    Distribution::kDominated,
};

double Uniform(double low, double high, Random& random) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

double Normal(double scale, Random& random) {
  return std::normal_distribution<double>(0, scale)(random);
}

int64_t AnyClass(int64_t classes, Random& random) {
  return std::uniform_int_distribution<int64_t>(0, classes - 1)(random);
}

// T's smallest positive number.
template <typename T>
double Least() {
  if constexpr (std::is_floating_point_v<T>) {
    return std::numeric_limits<T>::denorm_min();
  } else {
    return Wide(T{1});
  }
}

// Around the logits whose exponentials are subnormal in T: from -87 to -104 in
// float32, from -708 to -745 in float64, from -9.7 to -17.3 in float16 and from
// -87 to -93 in bfloat16.
template <typename T>
double DrawTinyLogarithm(Random& random) {
  switch (ElementTypeOf<T>()) {
    case compute::ElementType::kFloat16:
      return Uniform(-19, -8, random);
    case compute::ElementType::kBFloat16:
      return Uniform(-97, -83, random);
    case compute::ElementType::kFloat32:
      return Uniform(-110, -80, random);
    case compute::ElementType::kFloat64:
      break;
  }
  return Uniform(-752, -700, random);
}

// The logit of one class where the classes are alike.
template <typename T>
double DrawLogit(Distribution distribution, Random& random) {
  switch (distribution) {
    case Distribution::kUniform:
      return Uniform(-10, 10, random);
    case Distribution::kNormal001:
      return Normal(0.01, random);
    case Distribution::kNormal1:
    case Distribution::kDominated:
      return Normal(1, random);
    case Distribution::kNormal5:
    case Distribution::kLogProbabilities:
      return Normal(5, random);
    case Distribution::kNormal10:
      return Normal(10, random);
    case Distribution::kNormal30:
      return Normal(30, random);
    case Distribution::kMargin:
    case Distribution::kEqual:
      return 0;
    case Distribution::kOffset:
      // Where T's numbers are about as dense as the logits.
      return std::is_floating_point_v<T> ? 1e6 + Normal(1, random)
                                         : 1e3 + Normal(10, random);
    case Distribution::kSubnormalLogits:
      return std::round(Uniform(-1000, 1000, random)) * Least<T>();
    case Distribution::kTinyProbabilities:
      return DrawTinyLogarithm<T>(random);
    case Distribution::kMasked:
      return Uniform(0, 1, random) < 0.5
                 ? -std::numeric_limits<double>::infinity()
                 : Normal(5, random);
  }
  return 0;
}

}  // namespace

absl::Span<const Distribution> AllDistributions() { return kAll; }

std::string_view Name(Distribution distribution) {
  constexpr std::string_view kNames[] = {"uniform",
                                         "normal_0_01",
                                         "normal_1",
                                         "normal_5",
                                         "normal_10",
                                         "normal_30",
                                         "margin",
                                         "equal",
                                         "offset_1e6",
                                         "subnormal_logits",
                                         "tiny_probabilities",
                                         "log_probabilities",
                                         "masked",
                                         "dominated"};
  static_assert(std::size(kNames) == std::size(kAll));
  return kNames[static_cast<size_t>(distribution)];
}

void PrintTo(Distribution distribution, std::ostream* out) {
  *out << Name(distribution);
}

template <typename T>
std::vector<T> DrawRow(Distribution distribution, int64_t classes,
                       Random& random) {
  constexpr auto kRound = compute::FromDouble<T>;
  std::vector<T> row(classes);
  for (T& z : row) z = kRound(DrawLogit<T>(distribution, random));
  T& special = row[AnyClass(classes, random)];
  switch (distribution) {
    case Distribution::kMargin:
      special = kRound(Uniform(0, 200, random));
      break;
    case Distribution::kEqual:
      std::fill(row.begin(), row.end(), kRound(Normal(10, random)));
      break;
    case Distribution::kTinyProbabilities:
      special = kRound(0);
      break;
    case Distribution::kLogProbabilities: {
      double sum = 0;
      for (T z : row) sum += std::exp(Wide(z));
      for (T& z : row) z = kRound(Wide(z) - std::log(sum));
      break;
    }
    case Distribution::kMasked:
      special = kRound(Normal(5, random));  // a row needs a finite one
      break;
    case Distribution::kDominated:
      special = kRound(Wide(special) + Uniform(20, 100, random));
      break;
    default:
      break;
  }
  return row;
}

template <typename T>
int64_t DrawLabel(absl::Span<const T> row, Random& random) {
  if (Uniform(0, 1, random) < 0.5) {
    return std::max_element(row.begin(), row.end(),
                            [](T a, T b) { return Wide(a) < Wide(b); }) -
           row.begin();
  }
  return AnyClass(static_cast<int64_t>(row.size()), random);
}

#define LOSSD_INSTANTIATE(T)                                       \
  template std::vector<T> DrawRow(Distribution, int64_t, Random&); \
  template int64_t DrawLabel(absl::Span<const T>, Random&);
LOSSD_INSTANTIATE(float)
LOSSD_INSTANTIATE(double)
LOSSD_INSTANTIATE(compute::Float16)
LOSSD_INSTANTIATE(compute::BFloat16)
#undef LOSSD_INSTANTIATE

}  // namespace lossd::testing
