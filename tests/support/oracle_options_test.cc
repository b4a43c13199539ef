// The oracle's options: against PyTorch, mpmath, the plain formulas in long
// double, and the loss's own slope.
#include <cmath>
#include <random>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/oracle.h"

namespace lossd::testing {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::Pointwise;

template <typename T = double>
std::vector<T> RoundAll(const std::vector<ExactReal>& values) {
  std::vector<T> rounded;
  for (const ExactReal& value : values) rounded.push_back(RoundTo<T>(value));
  return rounded;
}

// The whole batch's gradient; 0 for ignored rows.
std::vector<double> Gradient(const OracleInput& input) {
  std::vector<double> gradient;
  for (const auto& row : OracleBatch(input).rows) {
    const std::vector<double> g = row.has_value()
                                      ? RoundAll(row->gradient)
                                      : std::vector<double>(input.classes);
    gradient.insert(gradient.end(), g.begin(), g.end());
  }
  return gradient;
}

// torch.nn.functional.cross_entropy of PyTorch 1.13.1 in float64, and its
// autograd.
class PyTorchTest : public ::testing::Test {
 protected:
  void ExpectLossAndGradient(double loss, const std::vector<double>& gradient) {
    EXPECT_NEAR(RoundTo<double>(*OracleBatch(input_).loss), loss, 2e-15);
    EXPECT_THAT(Gradient(input_), Pointwise(DoubleNear(5e-16), gradient));
  }

  const std::vector<double> logits_ = {1, -2, 0.5, 0, 3, -1, 2, 2, -4};
  const std::vector<double> weights_ = {0.5, 2, 1.25};
  const std::vector<double> probabilities_ = {0.2, 0.3, 0.5, 1,  0,
                                              0,   0.6, 0.1, 0.9};
  std::vector<int64_t> labels_ = {0, 2, 1};
  OracleInput input_{
      .rows = 3,
      .classes = 3,
      .logits = logits_,
      .labels = labels_,
      .options = {.class_weights = weights_, .label_smoothing = 0.1}};
};

TEST_F(PyTorchTest, AgreesOnTheWeightedMeanOfSmoothedLabels) {
  ExpectLossAndGradient(
      1.839117531429567,
      {-0.03186961370165517, -0.013168748350443094, 0.04503836205209825,
       0.011093096414880188, 0.2943020728477242, -0.30539516926260435,
       0.2519045094584857, -0.24142882387484765, -0.010475685583638079});
}

TEST_F(PyTorchTest, AgreesOnIgnoredRows) {
  labels_[1] = -100;
  input_.ignore_index = -100;
  ExpectLossAndGradient(
      0.8390676785989688,
      {-0.04780442055248272, -0.01975312252566464, 0.06755754307814738, 0, 0, 0,
       0.3778567641877286, -0.3621432358122713, -0.015713528375457118});
}

TEST_F(PyTorchTest, AgreesOnTheSum) {
  input_.options.label_smoothing = 0.3;
  input_.reduction = compute::Reduction::kSum;
  ExpectLossAndGradient(
      7.243222409823859,
      {0.03771794970775373, -0.17820730651205882, 0.14048935680430516,
       0.008265778222467367, 0.9702994398456322, -0.9785652180680995,
       0.8364014152812358, -0.713598584718764, -0.12280283056247149});
}

TEST_F(PyTorchTest, AgreesOnWeightedAndSmoothedProbabilities) {
  input_.probabilities = probabilities_;
  ExpectLossAndGradient(
      3.9395923679799822,
      {0.22959083466971594, -0.18902136076458428, -0.04056947390513162,
       -0.1466214695614439, 0.1572236918874414, -0.01060222232599748,
       0.16870026543204292, 0.18203359876537625, -0.3507338641974191});
}

TEST_F(PyTorchTest, AgreesOnProbabilitiesAlone) {
  input_.probabilities = probabilities_;
  input_.options = {};
  ExpectLossAndGradient(
      3.7438326896362923,
      {0.13458296538287526, -0.08998037081014199, -0.04460259457273326,
       -0.3177957924740087, 0.3120798506255019, 0.005715941848506796,
       0.06633657548356384, 0.2330032421502305, -0.29933981763379435});
}

// z_loss, logit_scale, row weights and upstream written out in PyTorch.
TEST_F(PyTorchTest, AgreesOnAllOptions) {
  const std::vector<double> row_weights = {1.5, 0, 0.25};
  const std::vector<double> upstream = {2, 1, -3};
  input_.options.logit_scale = 0.5;
  input_.options.z_loss = 0.1;
  input_.row_weights = row_weights;
  input_.upstream = upstream;
  ExpectLossAndGradient(
      1.1428865406751836,
      {-0.07217751639037487, 0.028847908891820474, 0.3299165322350137, 0, 0, 0,
       -0.3270170009960592, 0.22798299900394098, -0.004030153127883947});
  EXPECT_EQ(OracleBatch(input_).divisor, 1.25);
}

class MpmathTest : public ::testing::Test {
 protected:
  ExactRow Row(const RowTarget& target) {
    return OracleRow({1.5, -0.25, 4, -3}, target,
                     {.class_weights = weights_,
                      .label_smoothing = 0.1,
                      .z_loss = 1e-4,
                      .logit_scale = 3},
                     {.row_weight = 0.7, .upstream = -1.1, .divisor = 3});
  }
  const std::vector<double> weights_ = {0.3, 2, 1.7, 0};
};

// mpmath at 60 digits.
TEST_F(MpmathTest, AgreesOnAllOptionsWithALabel) {
  const ExactRow row = Row(1);
  EXPECT_EQ(RoundTo<double>(row.loss), 16.5614451916378980416437);
  EXPECT_EQ(RoundTo<double>(row.log_sum_exp), 12.00055583294505635515548);
  EXPECT_THAT(
      RoundAll(row.gradient),
      ElementsAre(0.004965265621366011769068721, 1.424495750903949686675515,
                  -1.43130910101347653329798, -1.110112703945837031331447e-9));
  EXPECT_THAT(
      RoundAll(row.probabilities),
      ElementsAre(0.0005527770330554629184897708,
                  0.000002900707651603437914440315, 0.9994443215014582374317735,
                  7.578346962118222454923687e-10));
}

TEST_F(MpmathTest, AgreesOnAllOptionsWithProbabilities) {
  const std::vector<double> t = {0.25, 0, 0.6, 0.1};
  const ExactRow row = Row(t);
  EXPECT_EQ(RoundTo<double>(row.loss), 0.850503283484275241240209);
  EXPECT_THAT(
      RoundAll(row.gradient),
      ElementsAre(0.05728694802930223985517631, 0.03849757012626398911370997,
                  -0.0976326031190144610719701,
                  -6.348253066961494921697353e-10));
}

// A random row with a random combination of options.
class RandomRow {
 public:
  explicit RandomRow(int seed) : random_(seed) {
    const int64_t classes = 1 + static_cast<int64_t>(random_() % 6);
    logits = Many(classes, -5, 5);
    label = static_cast<int64_t>(random_() % classes);
    if (Half()) class_weights = Many(classes, 0.01, 3);
    if (Half()) probabilities = Many(classes, 0, 1);
    options.class_weights = class_weights;
    if (Half()) options.label_smoothing = Uniform(0, 1);
    if (Half()) options.z_loss = Uniform(0, 0.5);
    if (Half()) options.logit_scale = Uniform(0.1, 2);
    if (Half()) factors.row_weight = Uniform(0, 2);
    if (Half()) factors.upstream = Uniform(-2, 2);
    if (Half()) factors.divisor = Uniform(0.5, 9);
  }
  RandomRow(const RandomRow&) = delete;
  RandomRow& operator=(const RandomRow&) = delete;

  ExactRow Compute(absl::Span<const double> at) const {
    RowTarget target = label;
    if (!probabilities.empty()) target = probabilities;
    return OracleRow(at, target, options, factors);
  }

  std::vector<double> logits;
  std::vector<double> class_weights;  // empty: none
  std::vector<double> probabilities;  // empty: the label counts
  int64_t label = 0;
  OracleOptions options;
  RowFactors factors;

 private:
  double Uniform(double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random_);
  }
  bool Half() { return random_() % 2 == 0; }
  std::vector<double> Many(int64_t size, double low, double high) {
    std::vector<double> values;
    for (int64_t i = 0; i < size; ++i) values.push_back(Uniform(low, high));
    return values;
  }

  std::mt19937_64 random_;
};

constexpr int kRandomRows = 200;

// docs/numerics.md's formulas as they stand, where nothing much cancels.
void ExpectPlainFormulas(const RandomRow& row) {
  using Real = long double;
  const OracleOptions& options = row.options;
  const Real scale = options.logit_scale;
  Real sum = 0;
  for (double z : row.logits) sum += std::exp(scale * z);
  const Real lse = std::log(sum);
  std::vector<Real> q;
  Real loss = options.z_loss * lse * lse;
  Real total = 2 * options.z_loss * lse;
  for (size_t c = 0; c < row.logits.size(); ++c) {
    const Real w = row.class_weights.empty() ? 1 : row.class_weights[c];
    const Real even =
        options.label_smoothing / static_cast<Real>(row.logits.size());
    const Real kept = 1 - Real{options.label_smoothing};
    if (row.probabilities.empty()) {
      const bool is_label = row.label == static_cast<int64_t>(c);
      q.push_back((is_label ? kept * w : 0) + even * w);
    } else {
      q.push_back(w * (kept * row.probabilities[c] + even));
    }
    total += q[c];
    loss += q[c] * (lse - scale * row.logits[c]);
  }
  const Real row_weight = row.factors.row_weight;
  const Real factor =
      scale * row_weight * row.factors.upstream / row.factors.divisor;
  const auto near = [](Real want, double error) {
    return DoubleNear(static_cast<double>(want), error);
  };
  const ExactRow exact = row.Compute(row.logits);
  EXPECT_THAT(RoundTo<double>(exact.log_sum_exp), near(lse, 1e-14));
  EXPECT_THAT(RoundTo<double>(exact.loss), near(row_weight * loss, 1e-13));
  for (size_t c = 0; c < q.size(); ++c) {
    const Real p = std::exp(scale * row.logits[c] - lse);
    EXPECT_THAT(RoundTo<double>(exact.probabilities[c]), near(p, 1e-15));
    EXPECT_THAT(RoundTo<double>(exact.gradient[c]),
                near(factor * (total * p - q[c]), 1e-14));
  }
}

TEST(RandomOptionsTest, AgreeWithThePlainFormulas) {
  for (int seed = 0; seed < kRandomRows; ++seed) {
    SCOPED_TRACE(seed);
    ExpectPlainFormulas(RandomRow(seed));
  }
}

// Central differences, in the oracle's own precision: wrong by h^2 only.
TEST(RandomOptionsTest, HaveTheSlopeOfTheLossForTheirGradient) {
  const double h = 0x1p-20;
  for (int seed = 0; seed < kRandomRows; ++seed) {
    const RandomRow row(seed);
    const ExactRow exact = row.Compute(row.logits);
    for (size_t c = 0; c < row.logits.size(); ++c) {
      std::vector<double> up = row.logits;
      std::vector<double> down = row.logits;
      up[c] += h;
      down[c] -= h;
      const ExactReal rise = row.Compute(up).loss - row.Compute(down).loss;
      const double slope =
          RoundTo<double>(rise / ExactReal(64, up[c] - down[c]));
      EXPECT_NEAR(slope * row.factors.upstream / row.factors.divisor,
                  RoundTo<double>(exact.gradient[c]), 1e-10)
          << "seed " << seed << ", class " << c;
    }
  }
}

}  // namespace
}  // namespace lossd::testing
