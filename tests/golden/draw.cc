#include "tests/golden/draw.h"

#include <cstddef>
#include <utility>

#include "tests/golden/exact_math.h"

namespace lossd::golden {
namespace {

using testing::RoundToType;

constexpr mpfr_prec_t kBits = 512;

// FNV-1a.
uint64_t SeedOf(const std::string& text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return hash;
}

constexpr ElementType kTypes[] = {ElementType::kFloat32, ElementType::kFloat64,
                                  ElementType::kFloat16,
                                  ElementType::kBFloat16};

}  // namespace

Draw::Draw(const GoldenCase& golden)
    : type_(golden.type),
      rows_(golden.rows),
      classes_(golden.classes),
      random_(SeedOf(NameOf(golden.loss) + "/" + golden.name)) {}

double Draw::Rounded(double value) const { return RoundedTo(type_, value); }

std::vector<double> Draw::Short(int64_t count, double range) {
  const auto steps = static_cast<uint64_t>(range * 128);
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    const auto step = static_cast<double>(random_() % steps);
    // The sum is never -0.
    values.push_back(Rounded(step / 64 - range));
  }
  return values;
}

std::vector<double> Draw::Full(int64_t count, double low, double high) {
  std::vector<double> values;
  for (int64_t i = 0; i < count; ++i) {
    const double unit = static_cast<double>(random_() >> 11) * 0x1p-53;
    values.push_back(Rounded(low + (high - low) * unit));
  }
  return values;
}

std::vector<int64_t> Draw::Labels() {
  std::vector<int64_t> labels;
  for (int64_t r = 0; r < rows_; ++r) {
    labels.push_back(static_cast<int64_t>(random_() % classes_));
  }
  return labels;
}

std::vector<double> Draw::Probabilities() {
  std::vector<double> probabilities(rows_ * classes_);
  for (int64_t r = 0; r < rows_; ++r) {
    for (int share = 0; share < 16; ++share) {
      const auto c = static_cast<int64_t>(random_() % classes_);
      probabilities[r * classes_ + c] += 1.0 / 16;
    }
  }
  return probabilities;
}

double RoundedTo(ElementType type, double value) {
  return RoundToType(type, ExactReal(53, value));
}

std::vector<double> RoundedSoftmax(const GoldenCase& golden,
                                   double temperature) {
  const ExactReal divisor(kBits, temperature);
  std::vector<double> result;
  for (size_t first = 0; first < golden.logits.size();
       first += golden.classes) {
    Reals e;
    ExactReal sum(kBits, 0);
    for (int64_t i = 0; i < golden.classes; ++i) {
      e.push_back(Exp(ExactReal(kBits, golden.logits[first + i]) / divisor));
      sum = sum + e.back();
    }
    for (const ExactReal& e_i : e) {
      result.push_back(RoundToType(golden.type, e_i / sum));
    }
  }
  return result;
}

std::vector<double> RoundedSigmoid(const GoldenCase& golden) {
  const ExactReal one(kBits, 1);
  std::vector<double> result;
  for (const double z : golden.logits) {
    result.push_back(
        RoundToType(golden.type, one / (one + Exp(-ExactReal(kBits, z)))));
  }
  return result;
}

GoldenCase Drawn(Loss loss, const std::string& name, ElementType type,
                 Labels labels, int64_t rows, int64_t classes) {
  GoldenCase golden = {.loss = loss,
                       .name = name,
                       .type = type,
                       .rows = rows,
                       .classes = classes};
  Draw draw(golden);
  const int64_t count = rows * classes;
  golden.logits = draw.Short(count, 4);
  switch (labels) {
    case Labels::kIndices:
      golden.labels = draw.Labels();
      break;
    case Labels::kProbabilities:
      golden.targets = draw.Probabilities();
      break;
    case Labels::kUnitTargets:
      for (const double t : draw.Short(count, 1)) {
        // A third each: 0, 1 and between.
        golden.targets.push_back(t < -0.25 ? 0 : t > 0.5 ? 1 : (t + 0.25));
      }
      break;
    case Labels::kRealTargets:
      golden.targets = draw.Short(count, 4);
      break;
  }
  for (double& t : golden.targets) t = RoundedTo(type, t);
  return golden;
}

GoldenCase Written(Loss loss, const std::string& name, ElementType type,
                   int64_t classes, const std::vector<double>& logits,
                   const std::string& note) {
  GoldenCase golden = {.loss = loss,
                       .name = name,
                       .note = note,
                       .type = type,
                       .rows = static_cast<int64_t>(logits.size()) / classes,
                       .classes = classes};
  for (const double z : logits) golden.logits.push_back(RoundedTo(type, z));
  return golden;
}

GoldenCase WithFactors(GoldenCase golden) {
  const double weights[] = {0.5, 2, 0, 1.25};
  const double upstream[] = {-1.5, 0.75, 3, 0.125};
  for (int64_t r = 0; r < golden.rows; ++r) {
    golden.row_weights.push_back(weights[r % 4]);
    golden.upstream_gradient.push_back(upstream[r % 4]);
  }
  return golden;
}

GoldenCase WithVector(GoldenCase golden) {
  Draw draw(golden);
  // After what the logits and labels took, so that it is no copy of them.
  draw.Short(3 * golden.rows * golden.classes, 1);
  golden.vector = draw.Short(golden.rows * golden.classes, 2);
  return golden;
}

GoldenCase WithReduction(Reduction reduction, GoldenCase golden) {
  golden.reduction = reduction;
  return golden;
}

void AddEverywhere(const std::string& prefix, const MakeCase& make,
                   std::vector<GoldenCase>& cases) {
  constexpr ElementType kFloat32 = ElementType::kFloat32;
  constexpr ElementType kFloat64 = ElementType::kFloat64;
  for (const ElementType type : kTypes) {
    cases.push_back(make(prefix + "mean_" + NameOf(type), type));
  }
  cases.push_back(
      WithReduction(Reduction::kSum, make(prefix + "sum_float32", kFloat32)));
  cases.push_back(
      WithReduction(Reduction::kNone, make(prefix + "none_float64", kFloat64)));
  GoldenCase golden = make(prefix + "row_weights_float32", kFloat32);
  golden.row_weights = WithFactors(golden).row_weights;
  cases.push_back(golden);
  golden = make(prefix + "upstream_gradient_float64", kFloat64);
  golden.upstream_gradient = WithFactors(golden).upstream_gradient;
  cases.push_back(golden);
  golden = make(prefix + "one_upstream_gradient_float32", kFloat32);
  golden.upstream_gradient = {-0.375};
  cases.push_back(golden);
  golden = make(prefix + "divisor_float64", kFloat64);
  golden.divisor = 12;
  cases.push_back(golden);
  golden = WithFactors(make(prefix + "all_factors_float32", kFloat32));
  cases.push_back(WithReduction(Reduction::kNone, golden));
  golden = WithFactors(make(prefix + "all_factors_float64", kFloat64));
  golden.divisor = 3.7;
  cases.push_back(golden);
}

void AddFew(const std::string& prefix, const MakeCase& make,
            std::vector<GoldenCase>& cases) {
  for (const ElementType type : kTypes) {
    cases.push_back(make(prefix + "mean_" + NameOf(type), type));
  }
  GoldenCase golden =
      WithFactors(make(prefix + "all_factors_float32", ElementType::kFloat32));
  cases.push_back(WithReduction(Reduction::kNone, golden));
  golden =
      WithFactors(make(prefix + "all_factors_float64", ElementType::kFloat64));
  golden.divisor = 3.7;
  cases.push_back(golden);
}

std::string NameOf(Loss loss) {
  switch (loss) {
    case Loss::kSoftmaxCrossEntropy:
      return "softmax_cross_entropy";
    case Loss::kSigmoidCrossEntropy:
      return "sigmoid_cross_entropy";
    case Loss::kNegativeLogLikelihood:
      return "negative_log_likelihood";
    case Loss::kKlDivergence:
      return "kl_divergence";
    case Loss::kSoftmaxFocal:
      return "softmax_focal";
    case Loss::kSigmoidFocal:
      return "sigmoid_focal";
    case Loss::kMulticlassHinge:
      return "multiclass_hinge";
    case Loss::kSquaredError:
      return "squared_error";
    case Loss::kHuber:
      break;
  }
  return "huber";
}

std::string NameOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat16:
      return "float16";
    case ElementType::kBFloat16:
      return "bfloat16";
    case ElementType::kFloat32:
      return "float32";
    case ElementType::kFloat64:
      break;
  }
  return "float64";
}

std::vector<GoldenFile> GoldenFiles() {
  return {{Loss::kSoftmaxCrossEntropy, SoftmaxCrossEntropyCases()},
          {Loss::kSigmoidCrossEntropy, SigmoidCrossEntropyCases()},
          {Loss::kNegativeLogLikelihood, NegativeLogLikelihoodCases()},
          {Loss::kKlDivergence, KlDivergenceCases()},
          {Loss::kSoftmaxFocal, SoftmaxFocalCases()},
          {Loss::kSigmoidFocal, SigmoidFocalCases()},
          {Loss::kMulticlassHinge, MulticlassHingeCases()},
          {Loss::kSquaredError, SquaredErrorCases()},
          {Loss::kHuber, HuberCases()}};
}

}  // namespace lossd::golden
