#include "server/compute/exact/row_scratch.h"

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_runner.h"

namespace lossd::compute {
namespace {

constexpr int kThreads = 4;
constexpr int64_t kShare = kKeptScratchBytes / kThreads / sizeof(double);

// Computes a row of so many equal logits, on this thread and others, and
// returns what this one keeps.
int64_t KeptDoublesAfter(int64_t classes) {
  RowScratch::OfThisThread() = {};
  testing::RunSettings settings;
  settings.outputs = testing::kGradient;
  settings.threads = kThreads;
  testing::MustRunLoss(
      testing::TestBatch<float>{
          1, classes, std::vector<float>(classes, 1.0f), {0}},
      settings);
  return static_cast<int64_t>(RowScratch::OfThisThread().Bytes() /
                              sizeof(double));
}

TEST(RowScratchTest, IsKeptAfterARowOfItsShare) {
  const int64_t classes = kShare * 9 / 10;
  EXPECT_GE(KeptDoublesAfter(classes), classes);
}

TEST(RowScratchTest, IsFreedAfterALongerRow) {
  EXPECT_EQ(KeptDoublesAfter(kShare + 1), 0);
}

TEST(RowScratchTest, IsKeptUpToItsShareAndNoFurther) {
  RowScratch& scratch = RowScratch::OfThisThread();
  scratch = {};
  scratch.exps.resize(kShare);
  RowScratch::TrimOfThisThread(kThreads);
  EXPECT_EQ(scratch.Bytes(), kShare * sizeof(double));
  scratch.gathered.resize(1);
  RowScratch::TrimOfThisThread(kThreads);
  EXPECT_EQ(scratch.Bytes(), 0);
}

// Tests count slow paths over many calls.
TEST(RowScratchTest, KeepsItsCountsWhenItIsTrimmed) {
  RowScratch& scratch = RowScratch::OfThisThread();
  scratch = {};
  scratch.slow_paths.exact = 3;
  scratch.capped[3].resize(kShare + 1);
  RowScratch::TrimOfThisThread(kThreads);
  EXPECT_EQ(scratch.Bytes(), 0);
  EXPECT_EQ(scratch.slow_paths.exact, 3);
}

}  // namespace
}  // namespace lossd::compute
