// At the ends of the options' and the logits' ranges, where products and
// exponentials leave float64, against the oracle.
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/narrow_float.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMin = compute::kMinFactor;
constexpr double kMax = compute::kMaxFactor;

// One row whose every result is to be the oracle's: correctly rounded, within
// 1 ulp for float64.
template <typename T>
class RowCheck {
 public:
  RowCheck(const std::vector<double>& logits, int64_t label,
           const RunSettings& settings)
      : settings_(settings) {
    const auto classes = static_cast<int64_t>(logits.size());
    const std::vector<T> narrow = Narrowed<T>(logits);
    run_ = MustRunLoss(TestBatch<T>{1, classes, narrow, {label}}, settings);
    const std::vector<double> targets =
        Rounded(settings.target_probabilities, settings.target_type);
    const RowTarget target = targets.empty()
                                 ? RowTarget(label)
                                 : RowTarget(absl::Span<const double>(targets));
    const auto factor = [](const std::vector<double>& factors) {
      return factors.empty() ? 1.0 : factors[0];
    };
    const ExactRow want =
        OracleRow(Wide(narrow), target,
                  {.class_weights = settings.class_weights,
                   .label_smoothing = settings.loss.label_smoothing,
                   .z_loss = settings.loss.z_loss,
                   .logit_scale = settings.loss.logit_scale},
                  {.row_weight = factor(settings.row_weights),
                   .upstream = factor(settings.upstream),
                   .divisor = run_.summary.divisor});
    for (size_t i = 0; i < logits.size(); ++i) {
      const std::string at = " of class " + std::to_string(i);
      Expect("gradient" + at, run_.gradient[i], want.gradient[i]);
      Expect("probability" + at, run_.probabilities[i], want.probabilities[i]);
    }
    Expect("row loss", run_.row_losses[0], want.loss);
    Expect("log_sum_exp", run_.log_sum_exp[0], want.log_sum_exp);
  }

  const LossRun<T>& run() const { return run_; }

 private:
  static void Expect(const std::string& what, T computed,
                     const ExactReal& exact) {
    const bool is_double = sizeof(T) == sizeof(double);
    EXPECT_LE(ErrorInUlps(computed, exact), is_double ? 1.0 : 0.5)
        << what << ": " << Wide(computed) << ", want "
        << Wide(RoundTo<T>(exact));
    if (!is_double) {
      EXPECT_EQ(Wide(computed), Wide(RoundTo<T>(exact))) << what;
    }
  }

  const RunSettings settings_;
  LossRun<T> run_;
};

template <typename T>
class LimitsTest : public ::testing::Test {};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(LimitsTest, Types);

// The product of a large logit and a scale is not a double: what is left of it
// is far above 1. Rows of nothing but float32's lowest number are how masks are
// written.
TYPED_TEST(LimitsTest, ScaledLogitsKeepTheirDifferencesHoweverLarge) {
  const double largest = std::is_same_v<TypeParam, Float16>    ? 65504
                         : std::is_same_v<TypeParam, BFloat16> ? 0x1.fep127
                                                               : 0x1.fffffep127;
  for (const double scale : {0.1, 0.3, 0.7, 1.3, 1e-6, 1e6}) {
    RunSettings settings;
    settings.loss.logit_scale = scale;
    for (const double size : {1e4, 1e15, 1e17, 1e19, 1e22, 1e30, largest}) {
      for (const double z : {size, -size}) {
        if (size > largest) continue;
        RowCheck<TypeParam>({z, z}, 1, settings);
        RowCheck<TypeParam>({z, z, z, -kInfinity, z}, 0, settings);
        RowCheck<TypeParam>({z, z, 0}, 0, settings);
        RowCheck<TypeParam>({z}, 0, settings);
      }
    }
  }
}

// A gradient is what is left of A p - q, q = (1 - s) t + s / C: here of t
// alone, 2^-150 of q, by which classes of equal logits differ.
TYPED_TEST(LimitsTest, TargetsAreToldApartHoweverLittleTheyDiffer) {
  RunSettings settings;
  settings.loss.label_smoothing = 1.0 - 0x1p-53;
  settings.options.reduction = compute::Reduction::kSum;
  settings.upstream = {kMax};
  settings.row_weights = {0x1p53};
  constexpr double kTiny = 0x1p-99;
  for (const std::vector<double>& targets :
       {std::vector<double>{kTiny, 0, kTiny},
        {kTiny, kTiny, 0},
        {2 * kTiny, 0, kTiny}}) {
    settings.target_probabilities = targets;
    RowCheck<TypeParam>({1, 1, 1}, 0, settings);
  }
}

// Factors together make 2^632.
TYPED_TEST(LimitsTest, FactorsRaiseWhatAnExponentialLeft) {
  RunSettings settings;
  settings.class_weights = {kMax, kMax};
  settings.row_weights = {kMax};
  settings.upstream = {-kMax};
  settings.options.divisor = 1e-100;
  for (const double below : {300, 650, 720, 760, 1040, 1060, 1300, 1500}) {
    RowCheck<TypeParam>({0, -below}, 0, settings);
    RowCheck<TypeParam>({0, -below}, 1, settings);
  }
}

TYPED_TEST(LimitsTest, FactorsLowerWhatIsLarge) {
  RunSettings settings;
  settings.class_weights = {kMin, 1, kMin};
  settings.row_weights = {kMin};
  settings.upstream = {kMin};
  settings.options.divisor = 1e100;
  settings.loss.logit_scale = 1e-6;
  RowCheck<TypeParam>({0, 1, 3}, 0, settings);
  RowCheck<TypeParam>({0, 1, 3}, 1, settings);
  settings.loss.z_loss = kMax;
  RowCheck<TypeParam>({0, 1, 60000}, 2, settings);
  settings.loss.label_smoothing = 0.3;
  RowCheck<TypeParam>({0, 1, 60000}, 1, settings);
}

// A row loss that float64 takes for 0 or next to it.
TYPED_TEST(LimitsTest, RowLossesBelowFloat64AreRaisedByWeights) {
  RunSettings settings;
  settings.row_weights = {kMax};
  settings.class_weights = {kMax, 1};
  settings.options.reduction = compute::Reduction::kSum;
  for (const double below : {700, 740, 759, 800, 850}) {
    RowCheck<TypeParam>({0, -below}, 0, settings);
  }
  settings.loss.z_loss = kMin;
  settings.class_weights = {1, 3};
  RowCheck<TypeParam>({-759, 0}, 1, settings);
}

// A target weight that float64 takes for 0 is none: an impossible class with
// one has an infinite distance.
TYPED_TEST(LimitsTest, TargetWeightsBelowFloat64AreNotZero) {
  RunSettings settings;
  settings.loss.label_smoothing = 1e-300;
  settings.class_weights = {1, kMin, 1};
  settings.options.reduction = compute::Reduction::kSum;
  RowCheck<TypeParam>({0, -kInfinity, 1}, 0, settings);
  settings.loss.label_smoothing = 0;
  settings.target_probabilities = {1, 1e-300, 0};
  RowCheck<TypeParam>({0, -kInfinity, 1}, 0, settings);
  settings.class_weights = {0, kMin, 0};
  settings.row_weights = {kMax};
  settings.target_probabilities = {1, 1e-300, 1};
  RowCheck<TypeParam>({0, -1, 1}, 0, settings);
}

TYPED_TEST(LimitsTest, SmoothingNextToItsEnds) {
  for (const double smoothing : {1e-300, 0x1p-1074, 0x1p-60, 1 - 0x1p-53}) {
    RunSettings settings;
    settings.loss.label_smoothing = smoothing;
    settings.options.reduction = compute::Reduction::kSum;
    RowCheck<TypeParam>({0, 2, -40, -300}, 0, settings);
    RowCheck<TypeParam>({0, 2, -40, -300}, 3, settings);
    RowCheck<TypeParam>({0, 0, 0}, 1, settings);
  }
}

// lse near 0 to 2^-70, and nothing but its square in the loss: the loss that is
// added up in float64 keeps 40 bits of it.
TEST(ZLossTest, LossKeepsItsBitsWhereTheLogarithmCancels) {
  const auto real = [](double value) { return ExactReal(400, value); };
  std::vector<float> logits = {-0.7f};
  ExactReal rest = real(1);  // 1 less the exponentials
  for (int i = 0; i < 5; ++i) {
    ExactReal e = real(logits.back());
    mpfr_exp(e.get(), e.get(), MPFR_RNDN);
    rest = rest - e;
    ExactReal log = rest;
    mpfr_log(log.get(), rest.get(), MPFR_RNDN);
    RunSettings settings;
    settings.class_weights = std::vector<double>(logits.size(), 1.0);
    settings.class_weights[0] = 0;
    settings.loss.z_loss = 1;
    settings.options.reduction = compute::Reduction::kSum;
    const auto classes = static_cast<int64_t>(logits.size());
    const LossRun<float> run = RowCheck<float>(Wide(logits), 0, settings).run();
    const ExactRow want =
        OracleRow(Wide(logits), RowTarget(int64_t{0}),
                  {.class_weights = settings.class_weights, .z_loss = 1});
    EXPECT_LE(RelativeError(*run.summary.loss, want.loss), 0x1p-40)
        << classes << " classes: " << *run.summary.loss;
    // The float below, so that something is left.
    logits.push_back(std::nextafter(RoundTo<float>(log), -HUGE_VALF));
  }
}

// The total is beyond float64, as it is with the largest float64 logits.
TEST(ZLossTest, TotalsBeyondFloat64MakeNoNan) {
  for (const auto& [logit, z_loss, weight] :
       {std::tuple{1.7e308, 1.0, 1.0}, std::tuple{1e300, kMax, kMin},
        std::tuple{-1e300, kMax, kMin}, std::tuple{1.7e308, 1.0, 0.25}}) {
    RunSettings settings;
    settings.loss.z_loss = z_loss;
    settings.upstream = {weight};
    settings.options.reduction = compute::Reduction::kSum;
    RowCheck<double>({logit, logit - 1e300 * 0.1, -kInfinity}, 0, settings);
    RowCheck<double>({logit, logit}, 1, settings);
  }
}

}  // namespace
}  // namespace lossd::testing
