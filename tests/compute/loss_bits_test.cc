// Threads, batch neighbours and instruction sets change no bit of the results.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "server/compute/narrow_float.h"
#include "tests/support/batch_parts.h"
#include "tests/support/elements.h"
#include "tests/support/loss_runner.h"

namespace lossd::testing {
namespace {

// Lengths around those of vectors, of chunks and of slices.
constexpr int64_t kLengths[] = {
    1,  2,  3,  4,   5,   7,   8,   9,    15,   16,   17,   31,   32,   33,
    63, 64, 65, 100, 255, 256, 257, 1000, 2047, 2048, 2049, 4095, 4097, 10007};

// Some rows ignored, so that those count, too.
template <typename T>
TestBatch<T> BatchOf(Distribution distribution, int64_t rows, int64_t classes) {
  TestBatch<T> batch =
      DrawBatch<T>(distribution, rows, classes, static_cast<uint64_t>(classes));
  for (size_t r = 2; r < batch.labels.size(); r += 5) batch.labels[r] = -1;
  return batch;
}

RunSettings Settings() {
  RunSettings settings;
  settings.loss.ignore_index = -1;
  return settings;
}

template <typename T>
class BitsTest : public ::testing::Test {};
using Types =
    ::testing::Types<float, double, compute::Float16, compute::BFloat16>;
TYPED_TEST_SUITE(BitsTest, Types);

TYPED_TEST(BitsTest, DoNotDependOnThreads) {
  for (int64_t classes : {1, 10, 1000, 40000}) {
    const auto batch = BatchOf<TypeParam>(Distribution::kNormal5,
                                          400'000 / (classes + 100), classes);
    RunSettings settings = Settings();
    const LossRun<TypeParam> want = MustRunLoss(batch, settings);
    for (settings.threads = 2; settings.threads <= 4; ++settings.threads) {
      EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
          << classes << " classes, " << settings.threads << " threads";
    }
  }
}

// Rows longer than a span, fewer than threads: the threads share each row.
TYPED_TEST(BitsTest, DoNotDependOnThreadsThatShareARow) {
  for (int64_t classes : {32767, 32768, 32769, 65536, 200'003}) {
    for (const double offset : {0, 500}) {
      auto batch = DrawBatch<TypeParam>(Distribution::kNormal5, 1, classes, 1);
      for (TypeParam& logit : batch.logits) {
        logit = compute::FromDouble<TypeParam>(Wide(logit) + offset);
      }
      RunSettings settings;
      const LossRun<TypeParam> want = MustRunLoss(batch, settings);
      for (settings.threads = 2; settings.threads <= 4; ++settings.threads) {
        EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want))
            << classes << " classes, " << settings.threads << " threads";
      }
    }
  }
}

// Next to a tie no element's rounding is certain: the threads that share the
// row all ask for the slow way at once.
TYPED_TEST(BitsTest, DoNotDependOnThreadsThatShareARowOfNearTies) {
  constexpr int64_t kClasses = 65536;
  const TestBatch<TypeParam> batch = {
      1,
      kClasses,
      std::vector<TypeParam>(kClasses, compute::FromDouble<TypeParam>(3)),
      {40'000}};
  // 2^-16 times this is the middle of two numbers; in float16 they are
  // subnormal. The divisor is a little less than what would make it that.
  constexpr compute::ElementType kType = ElementTypeOf<TypeParam>();
  const double odd = kType == compute::ElementType::kFloat16    ? 0x1p-9
                     : kType == compute::ElementType::kBFloat16 ? 0x1p-8
                                                                : 0x1p-24;
  RunSettings settings;
  settings.options.divisor = 1.0 / (1.0 + odd);
  const LossRun<TypeParam> want = MustRunLoss(batch, settings);
  for (settings.threads = 2; settings.threads <= 4; ++settings.threads) {
    EXPECT_TRUE(SameBits(MustRunLoss(batch, settings), want));
  }
}

TYPED_TEST(BitsTest, DoNotDependOnNeighboursInTheBatch) {
  for (int64_t classes : {1, 3, 17, 64, 1001}) {
    const auto batch = BatchOf<TypeParam>(Distribution::kNormal10, 40, classes);
    RunSettings settings = Settings();
    settings.options.reduction = compute::Reduction::kSum;
    const LossRun<TypeParam> whole = MustRunLoss(batch, settings);
    for (const int64_t part_rows : {1, 7}) {
      LossRun<TypeParam> joined = RunInParts(batch, settings, part_rows);
      // Parts of one row have the rows' losses, which add up to the same bits.
      if (part_rows > 1) joined.summary.loss = whole.summary.loss;
      EXPECT_TRUE(SameBits(whole, joined))
          << classes << " classes, " << part_rows << " rows in a part";
    }
  }
}

TYPED_TEST(BitsTest, DoNotDependOnWhatTheThreadComputedBefore) {
  const auto batch = BatchOf<TypeParam>(Distribution::kNormal5, 3, 37);
  const LossRun<TypeParam> want = MustRunLoss(batch, Settings());
  MustRunLoss(BatchOf<TypeParam>(Distribution::kMargin, 3, 5000), Settings());
  EXPECT_TRUE(SameBits(MustRunLoss(batch, Settings()), want));
}

template <typename T>
std::vector<LossRun<T>> RunAllLengths() {
  std::vector<LossRun<T>> runs;
  RunSettings settings = Settings();
  settings.options.non_finite_policy = compute::NonFinitePolicy::kPropagate;
  for (int64_t classes : kLengths) {
    for (Distribution distribution : AllDistributions()) {
      auto batch = BatchOf<T>(distribution, 3, classes);
      runs.push_back(MustRunLoss(batch, settings));
    }
    auto batch = BatchOf<T>(Distribution::kNormal1, 2, classes);
    batch.logits[classes / 2] = compute::FromDouble<T>(std::nan(""));
    batch.logits[classes] = compute::FromDouble<T>(HUGE_VAL);
    runs.push_back(MustRunLoss(batch, settings));
  }
  return runs;
}

TYPED_TEST(BitsTest, DoNotDependOnTheInstructionSet) {
  const std::string best(compute::ActiveKernel());
  const std::vector<LossRun<TypeParam>> want = RunAllLengths<TypeParam>();
  const std::vector<std::string> kernels = compute::AvailableKernels();
  for (const std::string& kernel : kernels) {
    compute::SelectKernel(kernel);
    EXPECT_EQ(compute::ActiveKernel(), kernel);
    const std::vector<LossRun<TypeParam>> runs = RunAllLengths<TypeParam>();
    for (size_t i = 0; i < runs.size(); ++i) {
      ASSERT_TRUE(SameBits(runs[i], want[i])) << kernel << ", run " << i;
    }
  }
  compute::SelectKernel(best);
  std::cout << "kernels: " << ::testing::PrintToString(kernels) << "\n";
  EXPECT_EQ(kernels.front(), best);
  // Sanitizers' builds have one kernel.
#if defined(__x86_64__) && !defined(HWY_COMPILE_ONLY_STATIC)
  EXPECT_THAT(kernels.back(), ::testing::AnyOf("SCALAR", "EMU128"));
  const auto count = [&](const char* kernel) {
    return std::count(kernels.begin(), kernels.end(), kernel);
  };
  EXPECT_EQ(count("AVX2"), __builtin_cpu_supports("avx2") ? 1 : 0);
  EXPECT_EQ(count("AVX3"), __builtin_cpu_supports("avx512vl") ? 1 : 0);
#endif
}

}  // namespace
}  // namespace lossd::testing
