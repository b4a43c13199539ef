// KL divergence against MPFR: every result of every type within 1 ulp, for
// teachers far from and next to the student, the same bits on every instruction
// set and any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/kernel.h"
#include "tests/compute/kl_oracle.h"
#include "tests/support/elements.h"
#include "tests/support/exact_real.h"
#include "tests/support/spec_runner.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::ElementType;
using compute::Float16;
using compute::KlDivergence;

constexpr mpfr_prec_t kBits = 1300;
constexpr double kTemperatures[] = {1, 4, 0.5, 2.7, 1e-6, 1e6, 20};
constexpr ElementType kTargetTypes[] = {
    ElementType::kFloat64, ElementType::kFloat32, ElementType::kBFloat16,
    ElementType::kFloat16};

// What float16 would take for infinite is left at the edge of its range.
std::vector<double> InRange(std::vector<double> values, ElementType type) {
  if (type != ElementType::kFloat16) return values;
  for (double& value : values) {
    if (std::isfinite(value)) value = std::clamp(value, -65504.0, 65504.0);
  }
  return values;
}

template <typename T>
SpecBatch<T> DrawKlBatch(Teacher teacher, uint64_t kind,
                         const KlDivergence& loss, ElementType target_type,
                         int64_t rows, int64_t classes,
                         std::mt19937_64& random) {
  SpecBatch<T> batch{rows, classes};
  batch.target_type = target_type;
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<T> z = Narrowed<T>(
        InRange(DrawStudent(kind, classes, loss.temperature, random),
                ElementTypeOf<T>()));
    const std::vector<double> t =
        DrawTeacher(teacher, Wide(z), loss.temperature, random);
    batch.logits.insert(batch.logits.end(), z.begin(), z.end());
    batch.targets.insert(batch.targets.end(), t.begin(), t.end());
  }
  batch.targets = Rounded(InRange(batch.targets, target_type), target_type);
  return batch;
}

template <typename T>
class KlDivergenceTest : public ::testing::Test {
 protected:
  void Check(const KlDivergence& loss, SpecBatch<T> batch, bool has_factors) {
    if (has_factors) {
      batch.row_weights = {0.3, 1.7, 0};
      batch.upstream = {-2.5, 1e-3, 4};
      batch.options.divisor = 3.7;
    } else {
      batch.options.reduction = compute::Reduction::kSum;
    }
    const SpecRun<T> run = MustRun(loss, batch);
    ExactReal sum(kBits, 0), sizes(kBits, 0);
    for (int64_t r = 0; r < batch.rows; ++r) {
      const ExactReal row_loss = CheckRow(loss, batch, run, r);
      sum = sum + row_loss;
      mpfr_abs(sizes.get(), sizes.get(), MPFR_RNDN);
      ExactReal size = row_loss;
      mpfr_abs(size.get(), size.get(), MPFR_RNDN);
      sizes = sizes + size;
    }
    if (mpfr_inf_p(sum.get())) {
      EXPECT_EQ(*run.summary.loss, HUGE_VAL);
      return;
    }
    // Probabilities that do not add up to 1 make losses of both signs.
    const ExactReal divisor(kBits, run.summary.divisor);
    ExactReal error = ExactReal(kBits, *run.summary.loss) - sum / divisor;
    mpfr_abs(error.get(), error.get(), MPFR_RNDN);
    const ExactReal most = sizes / divisor * ExactReal(kBits, 0x1p-40) +
                           ExactReal(kBits, 0x1p-1073);
    EXPECT_LE(mpfr_cmp(error.get(), most.get()), 0) << *run.summary.loss;
  }

  double worst() const { return worst_; }

 private:
  ExactReal CheckRow(const KlDivergence& loss, const SpecBatch<T>& batch,
                     const SpecRun<T>& run, int64_t r) {
    const auto real = [](double x) { return ExactReal(kBits, x); };
    const int64_t classes = batch.classes;
    const double weight = batch.row_weights.empty() ? 1 : batch.row_weights[r];
    const double upstream = batch.upstream.empty() ? 1 : batch.upstream[r];
    const ExactReal factor =
        real(weight) * real(upstream) / real(run.summary.divisor);
    const std::vector<double> z = Wide(batch.logits);
    const ExactKlRow want = KlOracle(
        loss, absl::MakeConstSpan(z).subspan(r * classes, classes),
        absl::MakeConstSpan(batch.targets).subspan(r * classes, classes));
    for (int64_t i = 0; i < classes; ++i) {
      Expect(run.gradient[r * classes + i], want.slopes[i] * factor, r, i);
    }
    const ExactReal row_loss = weight == 0 ? real(0) : want.loss * real(weight);
    Expect(run.row_losses[r], row_loss, r, -1);
    return row_loss;
  }

  void Expect(T computed, const ExactReal& want, int64_t r, int64_t i) {
    const double ulps = ErrorInUlps(computed, want);
    worst_ = std::max(worst_, ulps);
    EXPECT_LE(ulps, 1.0) << "row " << r << ", class " << i << ": "
                         << Wide(computed) << ", want "
                         << Wide(RoundTo<T>(want)) << " (" << ulps << " ulp)";
  }

  double worst_ = 0;
};
using Types = ::testing::Types<float, Float16, BFloat16, double>;
TYPED_TEST_SUITE(KlDivergenceTest, Types);

// Every length up to 70, with every teacher, student and temperature among
// them.
TYPED_TEST(KlDivergenceTest, IsWithinOneUlp) {
  std::mt19937_64 random(1);
  uint64_t seed = 0;
  for (int64_t classes = 1; classes <= 70; ++classes) {
    for (int k = 0; k < kTeachers; k += 4) {
      const auto teacher = static_cast<Teacher>((k + 3 * classes) % kTeachers);
      ++seed;
      const KlDivergence loss = {
          .temperature = kTemperatures[seed % std::size(kTemperatures)],
          .targets_are_logits = IsLogits(teacher)};
      SCOPED_TRACE("classes " + std::to_string(classes) + ", teacher " +
                   std::to_string(static_cast<int>(teacher)) + ", student " +
                   std::to_string(seed % kStudentKinds) + ", T " +
                   std::to_string(loss.temperature));
      this->Check(loss,
                  DrawKlBatch<TypeParam>(teacher, seed % kStudentKinds, loss,
                                         kTargetTypes[seed / 7 % 4], 3, classes,
                                         random),
                  seed % 2 == 0);
    }
  }
  std::cout << "worst " << this->worst() << " ulp\n";
}

TYPED_TEST(KlDivergenceTest, IsWithinOneUlpOfLongRows) {
  std::mt19937_64 random(2);
  for (const Teacher teacher : {Teacher::kAny, Teacher::kVeryNear,
                                Teacher::kProbabilities, Teacher::kStudents}) {
    const KlDivergence loss = {.temperature = 3,
                               .targets_are_logits = IsLogits(teacher)};
    this->Check(loss,
                DrawKlBatch<TypeParam>(teacher, 0, loss, ElementType::kFloat64,
                                       1, 1001, random),
                false);
  }
}

TYPED_TEST(KlDivergenceTest, HasTheSameBitsEverywhere) {
  const std::string best(compute::ActiveKernel());
  std::mt19937_64 random(3);
  for (int k = 0; k < 4 * kTeachers; ++k) {
    const auto teacher = static_cast<Teacher>(k % kTeachers);
    const KlDivergence loss = {
        .temperature = kTemperatures[k % std::size(kTemperatures)],
        .targets_are_logits = IsLogits(teacher)};
    SpecBatch<TypeParam> batch =
        DrawKlBatch<TypeParam>(teacher, k % kStudentKinds, loss,
                               kTargetTypes[k / 3 % 4], 11, 37, random);
    const SpecRun<TypeParam> want = MustRun(loss, batch);
    for (const std::string& kernel : compute::AvailableKernels()) {
      compute::SelectKernel(kernel);
      for (const int threads : {1, 3}) {
        batch.threads = threads;
        const SpecRun<TypeParam> run = MustRun(loss, batch);
        EXPECT_TRUE(SameBits(run.gradient, want.gradient)) << kernel << k;
        EXPECT_TRUE(SameBits(run.row_losses, want.row_losses)) << kernel << k;
        EXPECT_TRUE(SameBits(*run.summary.loss, *want.summary.loss)) << kernel;
      }
    }
    compute::SelectKernel(best);
  }
}

// A teacher that is the student but for a constant, and one class alone.
TYPED_TEST(KlDivergenceTest, IsExactlyZeroWhereBothAreEqual) {
  for (const double temperature : kTemperatures) {
    const KlDivergence loss = {.temperature = temperature,
                               .targets_are_logits = true};
    SpecBatch<TypeParam> batch{2, 3};
    for (const double z : {2.0, -HUGE_VAL, 0.25, 1.0, -3.0, 7.5}) {
      batch.logits.push_back(compute::FromDouble<TypeParam>(z));
      batch.targets.push_back(z + 4);
    }
    const SpecRun<TypeParam> run = MustRun(loss, batch);
    for (const TypeParam g : run.gradient) EXPECT_EQ(Wide(g), 0.0);
    for (const TypeParam l : run.row_losses) EXPECT_EQ(Wide(l), 0.0);
    EXPECT_EQ(*run.summary.loss, 0.0);
  }
}

}  // namespace
}  // namespace lossd::testing
