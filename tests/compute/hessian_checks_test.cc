// Products of Hessians and vectors: errors, and the same bits everywhere.
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/error.h"
#include "server/compute/kernel.h"
#include "tests/compute/hessian_batches.h"
#include "tests/support/elements.h"
#include "tests/support/hessian_runner.h"

namespace lossd::testing {
namespace {

using compute::Huber;
using compute::KlDivergence;
using compute::LossSpec;
using compute::NonFinitePolicy;
using compute::Reduction;
using compute::SigmoidCrossEntropy;
using compute::SigmoidFocal;
using compute::SoftmaxCrossEntropy;
using compute::SoftmaxFocal;
using compute::SquaredError;
using ::testing::HasSubstr;

TEST(HessianTest, StopsWhenAsked) {
  SpecBatch<double> batch{1, 2, {0, 1}, {}, {1}};
  const auto product =
      RunHessian(SoftmaxCrossEntropy(), batch, Doubles{1, 2},
                 [] { return absl::CancelledError("enough"); });
  EXPECT_EQ(product.status().code(), absl::StatusCode::kCancelled);
}

TEST(HessianTest, RejectsAVectorThatIsNotFinite) {
  const auto message = [](const LossSpec& spec, double value,
                          bool has_targets) {
    Doubles vector(15, 1);
    vector[8] = value;
    vector[13] = kNan;
    const auto product = RunHessian(spec, FiveClasses(has_targets), vector);
    EXPECT_EQ(product.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(compute::DetailsOf(product.status()).field, "vector");
    return std::string(product.status().message());
  };
  const std::string tail = ", want a finite number (row 1, class 3)";
  for (const LossSpec& spec : OfIndices()) {
    EXPECT_EQ(message(spec, kNan, false), "vector[1, 3] = nan" + tail);
    EXPECT_EQ(message(spec, -kInfinity, false), "vector[1, 3] = -inf" + tail);
  }
  for (const LossSpec& spec : OfTargets()) {
    EXPECT_EQ(message(spec, kInfinity, true), "vector[1, 3] = inf" + tail);
  }
}

TEST(HessianTest, PropagatesWhatIsNotFinite) {
  ForEachLoss([](const LossSpec& spec, SpecBatch<double> batch) {
    const Doubles ones = {1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5};
    const Doubles want = MustRunHessian(spec, batch, ones);
    batch.options.non_finite_policy = NonFinitePolicy::kPropagate;
    batch.logits[12] = kInfinity;
    for (const double bad : {kNan, kInfinity}) {
      Doubles vector = ones;
      vector[1] = bad;
      const Doubles product = MustRunHessian(spec, batch, vector);
      for (int i = 0; i < 15; ++i) {
        EXPECT_TRUE(SameBits(product[i], i / 5 == 1 ? want[i] : kNan)) << i;
      }
    }
  });
}

TEST(HessianTest, ChecksTheBatchAsTheLossDoes) {
  const auto message = [](const LossSpec& spec, const auto& change,
                          bool has_targets = false) {
    SpecBatch<double> batch = FiveClasses(has_targets);
    change(batch);
    const auto product = RunHessian(spec, batch, Doubles(15, 1));
    EXPECT_EQ(product.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(product.status(), RunSpec(spec, batch).status());
    return std::string(product.status().message());
  };
  const SoftmaxCrossEntropy plain;
  EXPECT_THAT(message(plain, [](auto& b) { b.labels[1] = 5; }),
              HasSubstr("labels[1] = 5, want [0, 5)"));
  EXPECT_THAT(message(plain, [](auto& b) { b.logits[6] = kNan; }),
              HasSubstr("logits[1, 1] = nan"));
  EXPECT_THAT(message(SoftmaxFocal(),
                      [](auto& b) {
                        for (int i = 5; i < 10; ++i) b.logits[i] = -kInfinity;
                      }),
              HasSubstr("logits[1] has nothing but -inf"));
  EXPECT_THAT(message(SoftmaxCrossEntropy{.logit_scale = 1e6},
                      [](auto& b) { b.logits[7] = 1e303; }),
              HasSubstr("logits[1, 2] = 1e+303"));
  EXPECT_THAT(message(plain, [](auto& b) { b.options.divisor = 0; }),
              HasSubstr("divisor = 0"));
  EXPECT_THAT(message(plain, [](auto& b) { b.row_weights[0] = -1; }),
              HasSubstr("row_weights[0] = -1"));
  EXPECT_THAT(message(SoftmaxFocal{.gamma = -1}, [](auto&) {}),
              HasSubstr("gamma = -1"));
  EXPECT_THAT(
      message(
          SigmoidCrossEntropy(), [](auto& b) { b.targets[7] = 1.5; }, true),
      HasSubstr("labels[1, 2] = 1.5, want [0, 1]"));
  EXPECT_THAT(message(
                  KlDivergence{.targets_are_logits = true},
                  [](auto& b) {
                    for (int i = 5; i < 10; ++i) b.targets[i] = -kInfinity;
                  },
                  true),
              HasSubstr("labels[1] has nothing but -inf"));
  EXPECT_THAT(message(SquaredError(), [](auto&) {}),
              HasSubstr("want float targets"));
}

template <typename T>
void ExpectTheSameBits() {
  const std::string best(compute::ActiveKernel());
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  SpecBatch<T> indices{41, 37}, targets{41, 37};
  std::vector<T> vector;
  for (int64_t r = 0; r < 41; ++r) {
    indices.labels.push_back(r % 37);
    for (int64_t i = 0; i < 37; ++i) {
      const double z = (r % 3 == 0 ? 200 : 3) * normal(random);
      indices.logits.push_back(compute::FromDouble<T>(z));
      targets.targets.push_back(static_cast<double>(random() % 98) / 97);
      vector.push_back(compute::FromDouble<T>(normal(random)));
    }
  }
  targets.logits = indices.logits;
  const auto check = [&](const LossSpec& spec, SpecBatch<T>& batch) {
    const std::vector<T> want = MustRunHessian(spec, batch, vector);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (const int threads : {1, 3}) {
        batch.threads = threads;
        EXPECT_TRUE(SameBits(MustRunHessian(spec, batch, vector), want))
            << kernel << ", " << spec.index();
      }
    }
    compute::SelectKernel(best);
  };
  for (const LossSpec& spec : std::vector<LossSpec>{
           SoftmaxCrossEntropy(), SoftmaxCrossEntropy{.label_smoothing = 0.1},
           SoftmaxCrossEntropy{.z_loss = 0.2, .logit_scale = 1.5},
           SoftmaxCrossEntropy{.label_smoothing = 0.1, .logit_softcap = 5},
           SoftmaxFocal(), SoftmaxFocal{.gamma = 0.5}}) {
    check(spec, indices);
  }
  for (const LossSpec& spec : std::vector<LossSpec>{
           SoftmaxCrossEntropy{.label_smoothing = 0.1}, SigmoidCrossEntropy(),
           Huber(), SquaredError(), KlDivergence{.temperature = 0.7},
           SigmoidFocal(), SigmoidFocal{.gamma = 0.5}}) {
    check(spec, targets);
  }
}

TEST(HessianTest, HasTheSameBitsEverywhere) {
  ExpectTheSameBits<float>();
  ExpectTheSameBits<double>();
  ExpectTheSameBits<compute::Float16>();
  ExpectTheSameBits<compute::BFloat16>();
}

// A row's product is its own, whatever rows stand beside it.
TEST(HessianTest, DoesNotMixRows) {
  const Doubles vector = {1, 2, -1, 0, 4, 1, 0, 0, 1, 2, 3, 1, 5, -2, 0};
  ForEachLoss([&](const LossSpec& spec, SpecBatch<double> batch) {
    batch.row_weights = batch.upstream = {};
    batch.options.reduction = Reduction::kSum;
    const Doubles whole = MustRunHessian(spec, batch, vector);
    const auto row_of = [](const Doubles& values, int64_t r) {
      return values.empty() ? values
                            : Doubles(values.begin() + 5 * r,
                                      values.begin() + 5 * (r + 1));
    };
    for (int64_t r = 0; r < 3; ++r) {
      SpecBatch<double> alone = batch;
      alone.rows = 1;
      alone.logits = row_of(batch.logits, r);
      alone.targets = row_of(batch.targets, r);
      if (!batch.labels.empty()) alone.labels = {batch.labels[r]};
      EXPECT_TRUE(SameBits(MustRunHessian(spec, alone, row_of(vector, r)),
                           row_of(whole, r)));
    }
  });
}

}  // namespace
}  // namespace lossd::testing
