#include "tests/support/draw_options.h"

#include <cmath>
#include <set>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/elements.h"

namespace lossd::testing {
namespace {

constexpr int kSeeds = 400;
constexpr int64_t kRows = 4;
constexpr int64_t kClasses = 6;

TEST(DrawOptionsTest, EachOptionIsOftenSetAndOftenNot) {
  // Of all draws; the rest leaves the option at its default.
  int class_weights = 0, smoothing = 0, z_loss = 0, scale = 0, row_weights = 0;
  int upstream = 0, divisor = 0, ignored = 0, probabilities = 0, typed = 0;
  for (int seed = 0; seed < kSeeds; ++seed) {
    const RunSettings settings = DrawOptions(seed, kRows, kClasses);
    class_weights += !settings.class_weights.empty();
    smoothing += settings.loss.label_smoothing != 0;
    z_loss += settings.loss.z_loss != 0;
    scale += settings.loss.logit_scale != 1;
    row_weights += !settings.row_weights.empty();
    upstream += !settings.upstream.empty();
    divisor += settings.options.divisor.has_value();
    ignored += settings.loss.ignore_index.has_value();
    probabilities += !settings.target_probabilities.empty();
    typed += settings.gradient_type.has_value();
  }
  for (int count : {class_weights, smoothing, z_loss, scale, row_weights,
                    upstream, divisor, ignored, probabilities, typed}) {
    EXPECT_GT(count, kSeeds / 10);
    EXPECT_LT(count, kSeeds * 9 / 10);
  }
}

void ExpectFactors(const std::vector<double>& factors, bool may_be_negative) {
  for (double factor : factors) {
    if (factor == 0) continue;
    EXPECT_GE(std::abs(factor), 1e-30);
    EXPECT_LE(std::abs(factor), 1e30);
    EXPECT_TRUE(factor > 0 || may_be_negative);
  }
}

TEST(DrawOptionsTest, DrawsWhatTheCoreTakes) {
  for (int seed = 0; seed < kSeeds; ++seed) {
    const RunSettings settings = DrawOptions(seed, kRows, kClasses);
    ExpectFactors(settings.class_weights, false);
    ExpectFactors(settings.row_weights, false);
    ExpectFactors(settings.upstream, true);
    ExpectFactors(settings.target_probabilities, false);
    if (!settings.target_probabilities.empty()) {
      EXPECT_EQ(settings.target_probabilities.size(), kRows * kClasses);
      EXPECT_FALSE(settings.loss.ignore_index.has_value());
    }
    EXPECT_TRUE(compute::CheckLossOptions(settings.options).ok());
  }
}

TEST(DrawOptionsTest, DrawsTheSameFromTheSameSeed) {
  const RunSettings a = DrawOptions(7, kRows, kClasses);
  const RunSettings b = DrawOptions(7, kRows, kClasses);
  EXPECT_EQ(a.class_weights, b.class_weights);
  EXPECT_EQ(a.target_probabilities, b.target_probabilities);
  EXPECT_EQ(a.upstream, b.upstream);
  EXPECT_EQ(a.loss.label_smoothing, b.loss.label_smoothing);
}

template <typename T>
class DrawBatchTest : public ::testing::Test {};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(DrawBatchTest, Types);

TYPED_TEST(DrawBatchTest, IsFiniteButWhereMasked) {
  for (Distribution distribution : AllDistributions()) {
    const auto batch = DrawBatch<TypeParam>(distribution, 20, 50, 1);
    std::set<double> values;
    bool has_masked = false;
    for (double z : Wide(batch.logits)) {
      EXPECT_LT(z, INFINITY);
      has_masked |= z == -INFINITY;
      values.insert(z);
    }
    EXPECT_EQ(has_masked, distribution == Distribution::kMasked);
    EXPECT_GT(values.size(), 10) << Name(distribution);
  }
}

}  // namespace
}  // namespace lossd::testing
