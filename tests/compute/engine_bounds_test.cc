// The bounds that the rounding tests rest on, each against MPFR: exponentials
// and their sums, logarithms, targets and their sums.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "server/compute/narrow_float.h"
#include "tests/compute/engine_row.h"
#include "tests/support/exact_real.h"

namespace lossd::testing {
namespace {

using compute::BFloat16;
using compute::Float16;
using compute::RowScratch;
using compute::RowTask;
using engine::Pair;

constexpr mpfr_prec_t kBits = 320;

ExactReal Real(double value) { return {kBits, value}; }
ExactReal Real(Pair value) { return Real(value.hi) + Real(value.lo); }

ExactReal Exp(ExactReal x) {
  mpfr_exp(x.get(), x.get(), MPFR_RNDN);
  return x;
}
ExactReal Log1p(ExactReal x) {
  mpfr_log1p(x.get(), x.get(), MPFR_RNDN);
  return x;
}
ExactReal Absolute(ExactReal x) {
  mpfr_abs(x.get(), x.get(), MPFR_RNDN);
  return x;
}

// Errors over their bounds.
class Ratio {
 public:
  void Add(const ExactReal& computed, const ExactReal& exact,
           const ExactReal& bound) {
    const ExactReal error = Absolute(computed - exact);
    ++count_;
    if (mpfr_zero_p(error.get())) return;
    const double ratio = RoundTo<double>(error / bound);
    worst_ = std::max(worst_, std::isnan(ratio) ? HUGE_VAL : ratio);
  }
  void AddRelative(const ExactReal& computed, const ExactReal& exact,
                   double bound) {
    Add(computed, exact, Absolute(exact) * Real(bound));
  }
  void ExpectBelowOne(const char* what) const {
    std::cout << count_ << " " << what << ", worst error " << worst_
              << " of the bound\n";
    EXPECT_LT(worst_, 1.0) << what;
    EXPECT_GT(count_, 0);
  }

 private:
  int64_t count_ = 0;
  double worst_ = 0.0;
};

// Rows of many lengths and levels, with and without scale.
template <typename T>
class BoundsTest : public ::testing::Test {
 protected:
  template <typename F>
  void ForEachRow(const F& f) {
    std::mt19937_64 random(1);
    for (const int classes : {1, 2, 5, 16, 17, 64, 100, 700, 33'000}) {
      for (const double level : {0.0, -20.0, 90.0, 150.0, -3000.0}) {
        for (const double spread : {0.1, 3.0, 60.0}) {
          if (classes > 700 && (spread != 3.0 || level != 90.0)) continue;
          std::normal_distribution<double> normal(level, spread);
          EngineRow row = {.logits = std::vector<double>(classes)};
          for (double& logit : row.logits) logit = normal(random);
          row.label = static_cast<int64_t>(random() % row.logits.size());
          row.scale = random() % 2 == 0 ? 1.0 : 0.3;
          const std::vector<T> logits = Narrowed<T>(row.logits);
          row.logits = Wide(logits);
          f(row, TaskOf(row, logits));
        }
      }
    }
  }

  static double MaxOf(const EngineRow& row) {
    return *std::max_element(row.logits.begin(), row.logits.end());
  }
};
using Types = ::testing::Types<float, Float16, BFloat16>;
TYPED_TEST_SUITE(BoundsTest, Types);

TYPED_TEST(BoundsTest, HoldForFastExponentialsAndTheirSums) {
  Ratio exps, sums, labels;
  this->ForEachRow([&](const EngineRow& row, RowTask task) {
    RowScratch scratch;
    std::vector<double> room(row.logits.size());
    task.gradient = reinterpret_cast<std::byte*>(room.data());
    RowScratch::Room(scratch.exps, task.classes + engine::kChunk);
    engine::FastRow found;
    ASSERT_TRUE(engine::RunFast<TypeParam>(task, scratch, found));
    ExactReal others = Real(0.0);
    for (size_t i = 0; i < row.logits.size(); ++i) {
      const ExactReal x =
          Real(row.scale) * Real(row.logits[i]) - Real(found.offset);
      if (mpfr_cmp_d(x.get(), engine::kFastLow) < 0) continue;
      const ExactReal e = Exp(x);
      if (static_cast<int64_t>(i) == row.label) {
        labels.AddRelative(Real(found.label), e, found.label_error);
        EXPECT_EQ(scratch.exps[i], 0.0);
        continue;
      }
      exps.AddRelative(Real(scratch.exps[i]), e, found.exp_error);
      others = others + e;
    }
    sums.AddRelative(Real(found.others), others, found.sum_error);
  });
  exps.ExpectBelowOne("exponentials");
  labels.ExpectBelowOne("labels' exponentials");
  sums.ExpectBelowOne("sums");
}

TYPED_TEST(BoundsTest, HoldForCarefulAndExactSums) {
  Ratio careful, careful_labels, exact, exact_labels;
  this->ForEachRow([&](const EngineRow& row, const RowTask& task) {
    RowScratch scratch;
    const double max = this->MaxOf(row);
    const engine::CarefulSums by_careful =
        engine::SumRowCarefully(task, max, scratch);
    const engine::ExactSums by_exact = engine::SumExactly(task, max);
    ExactReal others = Real(0.0), label = Real(0.0);
    for (size_t i = 0; i < row.logits.size(); ++i) {
      const ExactReal e =
          Exp(Real(row.scale) * (Real(row.logits[i]) - Real(max)));
      if (static_cast<int64_t>(i) == row.label) {
        label = e;
      } else {
        others = others + e;
      }
    }
    const ExactReal scaled = Real(0x1p512);
    if (mpfr_get_exp(others.get()) > -900) {
      careful.AddRelative(Real(by_careful.others), others * scaled,
                          engine::kCarefulError);
      exact.AddRelative(Real(by_exact.others()), others, engine::kExactError);
    }
    if (mpfr_get_exp(label.get()) > -900) {
      careful_labels.AddRelative(Real(by_careful.label), label * scaled,
                                 engine::kCarefulError);
      exact_labels.AddRelative(Real(by_exact.label), label,
                               engine::kExactError);
    }
  });
  careful.ExpectBelowOne("careful sums");
  careful_labels.ExpectBelowOne("careful exponentials");
  exact.ExpectBelowOne("exact sums");
  exact_labels.ExpectBelowOne("exact exponentials");
}

TYPED_TEST(BoundsTest, HoldForTargetsAndTheirSums) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> uniform(0, 2);
  Ratio targets, pairs, sums, distances, pair_sums, pair_distances;
  this->ForEachRow([&](EngineRow row, RowTask task) {
    const auto classes = static_cast<double>(row.logits.size());
    const uint64_t kind = random() % 3;
    row.smoothing = kind == 0 ? uniform(random) * 0.5 : 0.1;
    for (size_t i = 0; i < row.logits.size() && kind > 0; ++i) {
      row.probabilities.push_back(uniform(random));
      row.class_weights.push_back(uniform(random));
    }
    const std::vector<TypeParam> logits = Narrowed<TypeParam>(row.logits);
    task = TaskOf(row, logits);
    RowScratch scratch;
    const auto room = [&](std::vector<double>& to) {
      return RowScratch::Room(to, task.classes + engine::kChunk);
    };
    double* const high = room(scratch.target_pairs);
    double* const low = room(scratch.target_pairs_low);
    engine::FillTargets(task, high, low);
    const double max = this->MaxOf(row);
    const double offset = max;
    const engine::TargetSums fast =
        engine::SumTargets<TypeParam>(task, high, offset, scratch);
    const engine::TargetPairs careful =
        engine::SumTargetPairs<TypeParam>(task, max, high, low, scratch);
    ExactReal weights = Real(0.0), by_offset = weights, sizes = weights,
              by_max = weights;
    for (size_t i = 0; i < row.logits.size(); ++i) {
      const bool is_label = static_cast<int64_t>(i) == row.label;
      const double t = row.probabilities.empty() ? (is_label ? 1.0 : 0.0)
                                                 : row.probabilities[i];
      ExactReal q = (Real(1.0) - Real(row.smoothing)) * Real(t) +
                    Real(row.smoothing) / Real(classes);
      if (!row.class_weights.empty()) q = q * Real(row.class_weights[i]);
      const auto c = static_cast<int64_t>(i);
      pairs.AddRelative(Real(engine::TargetWeight(task, c)), q, 0x1p-98);
      if (is_label) {
        EXPECT_EQ(high[i], 0.0);
        continue;
      }
      targets.AddRelative(Real(high[i]), q, 0x1p-51);
      pairs.AddRelative(Real(Pair{high[i], low[i]}), q, 0x1p-98);
      const ExactReal scaled = Real(row.scale) * Real(row.logits[i]);
      const ExactReal x = scaled - Real(offset);
      weights = weights + q;
      by_offset = by_offset + q * x;
      sizes = sizes + q * Absolute(x);
      by_max = by_max + q * (Real(row.scale) * Real(max) - scaled);
    }
    const double error = engine::kTargetSumsError;
    sums.AddRelative(Real(fast.weights), weights, error);
    distances.Add(Real(fast.distances), by_offset, sizes * Real(error));
    pair_sums.AddRelative(Real(careful.weights), weights,
                          engine::kTargetPairsError);
    pair_distances.AddRelative(Real(careful.distances), by_max,
                               engine::kTargetPairsError);
  });
  targets.ExpectBelowOne("targets");
  pairs.ExpectBelowOne("targets in pairs");
  sums.ExpectBelowOne("sums of targets");
  distances.ExpectBelowOne("sums of distances");
  pair_sums.ExpectBelowOne("sums of targets in pairs");
  pair_distances.ExpectBelowOne("sums of distances in pairs");
}

TEST(LogarithmTest, BoundsHoldForFastAndExact) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> uniform(0, 1);
  Ratio fast, fast1p, exact;
  for (int i = 0; i < 20'000; ++i) {
    const double x =
        std::ldexp(1 + uniform(random), static_cast<int>(random() % 980) - 80);
    const Pair pair = {x, (uniform(random) - 0.5) * x * 0x1p-53};
    exact.AddRelative(Real(engine::ExactLog1p(pair)), Log1p(Real(pair)),
                      engine::kLogError);
    fast1p.AddRelative(Real(engine::FastLog1p(x)), Log1p(Real(x)), 0x1p-51);
    // Next to 1, below it, and anywhere.
    const double y = i % 2 == 0 ? x : 1.0 + (uniform(random) - 0.4) * 0.5;
    fast.AddRelative(Real(engine::FastLog(y, 0.0)), Log1p(Real(y) - Real(1.0)),
                     0x1p-51);
  }
  fast.ExpectBelowOne("fast logarithms");
  fast1p.ExpectBelowOne("fast ln(1 + x)");
  exact.ExpectBelowOne("exact ln(1 + x)");
}

TEST(PairTest, BoundsHoldForEachOperation) {
  std::mt19937_64 random(4);
  std::uniform_real_distribution<double> uniform(1, 2);
  const auto draw = [&] {
    const double high =
        std::ldexp(uniform(random), static_cast<int>(random() % 120) - 60);
    return Pair{high, (uniform(random) - 1.5) * high * 0x1p-53};
  };
  Ratio sums, products, quotients;
  for (int i = 0; i < 30'000; ++i) {
    const Pair a = draw(), b = draw();
    sums.AddRelative(Real(a + b), Real(a) + Real(b), 0x1p-103);
    products.AddRelative(Real(a * b), Real(a) * Real(b), 0x1p-103);
    quotients.AddRelative(Real(a / b), Real(a) / Real(b), 0x1p-100);
    // Of nearly equal size: relative to the terms, not to what is left.
    const Pair c = {a.hi * (1 + 0x1p-40), a.lo};
    sums.Add(Real(a - c), Real(a) - Real(c), Real(a.hi * 0x1p-103));
  }
  sums.ExpectBelowOne("sums of pairs");
  products.ExpectBelowOne("products of pairs");
  quotients.ExpectBelowOne("quotients of pairs");
}

}  // namespace
}  // namespace lossd::testing
