// The golden cases of negative log-likelihood, softmax focal loss and hinge.
#include <utility>

#include "tests/golden/draw.h"

namespace lossd::golden {
namespace {

constexpr ElementType kFloat16 = ElementType::kFloat16;
constexpr ElementType kBFloat16 = ElementType::kBFloat16;
constexpr ElementType kFloat32 = ElementType::kFloat32;
constexpr ElementType kFloat64 = ElementType::kFloat64;

using Cases = std::vector<GoldenCase>;

const std::vector<double> kWeights = {0.5, 2, 1, 0.25, 3};

MakeCase Indexed(Loss loss) {
  return [loss](const std::string& name, ElementType type) {
    return Drawn(loss, name, type, Labels::kIndices, 4, 5);
  };
}

GoldenCase Labelled(GoldenCase golden, const std::vector<int64_t>& labels) {
  golden.labels = labels;
  return golden;
}

// class_weights and ignore_index.
void AddWeights(const MakeCase& make, Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = make("class_weights_" + NameOf(type), type);
    golden.options.class_weights = kWeights;
    cases.push_back(golden);
    golden = make("ignore_index_" + NameOf(type), type);
    golden.options.ignore_index = type == kFloat32 ? -100 : 3;
    golden.labels = {0, *golden.options.ignore_index, 4, 2};
    cases.push_back(golden);
    golden = WithFactors(make("everything_" + NameOf(type), type));
    golden.options.class_weights = kWeights;
    golden.options.ignore_index = 1;
    golden.labels = {4, 2, 1, 3};
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  GoldenCase golden = make("every_row_ignored_float32", kFloat32);
  golden.note = "0 / 0: the mean is NaN, the gradient 0";
  golden.options.ignore_index = 2;
  golden.labels = {2, 2, 2, 2};
  cases.push_back(golden);
}

GoldenCase Focal(const std::string& name, ElementType type) {
  return Indexed(Loss::kSoftmaxFocal)(name, type);
}

void AddFocalMargins(Cases& cases) {
  struct Hard {
    ElementType type;
    std::vector<double> margins;
    std::optional<double> gamma;
  };
  for (const Hard& hard : std::vector<Hard>{
           {kFloat32, {1, 8, 12, 17, 25, 34, 40}, std::nullopt},
           {kFloat32, {1, 17, 40, 87, 104, 200}, 0.5},
           {kFloat64, {1, 17, 37, 100, 236, 247, 300}, std::nullopt},
           {kFloat64, {1, 30, 37.5, 100, 700, 745}, 0.25},
           {kBFloat16, {1, 5, 7, 9, 29}, std::nullopt}}) {
    const std::string name =
        (hard.gamma ? "margins_small_gamma_" : "margins_") + NameOf(hard.type);
    std::vector<double> logits;
    std::vector<int64_t> labels;
    for (const double margin : hard.margins) {
      logits.insert(logits.end(), {margin, 0, margin, 0});
      labels.insert(labels.end(), {0, 1});
    }
    GoldenCase golden =
        Labelled(Written(Loss::kSoftmaxFocal, name, hard.type, 2, logits,
                         "1 - p_y cancels, and a power of it is tiny"),
                 labels);
    golden.options.gamma = hard.gamma;
    golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
}

void AddFocalProducts(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64}) {
    cases.push_back(WithVector(Focal("hessian_" + NameOf(type), type)));
    GoldenCase golden =
        WithFactors(WithVector(Focal("hessian_options_" + NameOf(type), type)));
    golden.options.gamma = 0.75;
    golden.options.class_weights = kWeights;
    golden.options.ignore_index = 0;
    golden.labels = {1, 0, 2, 4};
    cases.push_back(golden);
    golden = WithVector(Focal("hessian_gamma_one_" + NameOf(type), type));
    golden.options.gamma = 1;
    cases.push_back(golden);
  }
  GoldenCase golden = WithVector(Focal("hessian_gamma_zero_float64", kFloat64));
  golden.note = "cross-entropy's";
  golden.options.gamma = 0;
  cases.push_back(golden);
}

GoldenCase Hinge(const std::string& name, ElementType type) {
  return Indexed(Loss::kMulticlassHinge)(name, type);
}

void AddHingeEdges(Cases& cases) {
  constexpr Loss kLoss = Loss::kMulticlassHinge;
  for (const int64_t power : {1, 2}) {
    const std::string end = power == 1 ? "_float32" : "_squared_float32";
    GoldenCase golden =
        Labelled(Written(kLoss, "at_the_margin" + end, kFloat32, 3,
                         {2, 1, 0.5, 2, 1.0000001, 2, 2, 0.99999994, 1},
                         "a class at the margin itself is not active, one a "
                         "last bit beyond it is"),
                 {0, 0, 0});
    golden.options.power = power;
    golden.reduction = Reduction::kNone;
    cases.push_back(golden);
    golden = Labelled(Written(kLoss, "masked" + end, kFloat32, 3,
                              {-kInfinity, 1, 2, 0, -kInfinity, 0.5},
                              "an impossible class is never active"),
                      {1, 2});
    golden.options.power = power;
    cases.push_back(golden);
  }
  GoldenCase golden = Labelled(
      Written(kLoss, "masked_label_float32", kFloat32, 4,
              {-kInfinity, 1, 2, -kInfinity},
              "the label is impossible: every other possible class is active"),
      {0});
  cases.push_back(golden);
  golden = Labelled(Written(kLoss, "cancelling_float64", kFloat64, 2,
                            {1e16, 1e16 - 2, 0.1, -0.9, 0.3, 1e-17, 1, 0},
                            "margin - z_y + z_i has few digits in common"),
                    {0, 0, 0, 0});
  golden.options = {.margin = 0.3, .power = 2};
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
}

}  // namespace

std::vector<GoldenCase> NegativeLogLikelihoodCases() {
  constexpr Loss kLoss = Loss::kNegativeLogLikelihood;
  Cases cases;
  AddEverywhere("", Indexed(kLoss), cases);
  AddWeights(Indexed(kLoss), cases);
  GoldenCase golden =
      Labelled(Written(kLoss, "masked_label_float32", kFloat32, 3,
                       {-kInfinity, -1, -0.5, -2, -0.25, -kInfinity},
                       "loss +inf, the gradient as ever"),
               {0, 1});
  cases.push_back(golden);
  golden.name = "masked_label_of_weight_zero_float64";
  golden.note = "0 times infinity is 0";
  golden.type = kFloat64;
  golden.options.class_weights = {0, 2, 1};
  cases.push_back(golden);
  cases.push_back(Labelled(
      Written(kLoss, "one_class_float32", kFloat32, 1, {-0.5, 0}, ""), {0, 0}));
  golden = WithVector(Indexed(kLoss)("hessian_float32", kFloat32));
  golden.note = "0";
  cases.push_back(golden);
  return cases;
}

std::vector<GoldenCase> SoftmaxFocalCases() {
  constexpr Loss kLoss = Loss::kSoftmaxFocal;
  Cases cases;
  AddEverywhere("", Focal, cases);
  AddWeights(Focal, cases);
  for (const double gamma : {0.0, 0.5, 1.0, 3.7}) {
    for (const ElementType type : {kFloat32, kFloat64}) {
      std::string name = "gamma_" + std::to_string(gamma).substr(0, 3) + "_";
      name[name.find('.')] = '_';
      GoldenCase golden = Focal(name + NameOf(type), type);
      golden.options.gamma = gamma;
      cases.push_back(golden);
    }
  }
  AddFocalMargins(cases);
  cases.push_back(Labelled(
      Written(kLoss, "offset_float32", kFloat32, 3,
              {1e6, 1000001, 999999, -1e6, -1e6, -1000002}, "a common offset"),
      {0, 1}));
  cases.push_back(Labelled(
      Written(kLoss, "masked_float32", kFloat32, 3,
              {-kInfinity, 1, 2, 0, 1, -kInfinity}, "impossible classes"),
      {2, 0}));
  cases.push_back(Labelled(Written(kLoss, "masked_label_float64", kFloat64, 3,
                                   {-kInfinity, 1, 2, 0, 1, -kInfinity},
                                   "1 - p_y is 1: cross-entropy's gradient"),
                           {0, 1}));
  cases.push_back(Labelled(
      Written(kLoss, "one_class_float32", kFloat32, 1, {2, -3}, "0"), {0, 0}));
  cases.push_back(Labelled(Written(kLoss, "equal_float16", kFloat16, 6,
                                   {3, 3, 3, 3, 3, 3}, "p = 1/6"),
                           {4}));
  GoldenCase golden =
      Drawn(kLoss, "fifty_classes_float64", kFloat64, Labels::kIndices, 1, 50);
  golden.logits = Draw(golden).Full(50, -12, 12);
  cases.push_back(golden);
  AddFocalProducts(cases);
  return cases;
}

std::vector<GoldenCase> MulticlassHingeCases() {
  Cases cases;
  AddEverywhere("", Hinge, cases);
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = Hinge("margin_" + NameOf(type), type);
    golden.options.margin = 0.3;
    cases.push_back(golden);
    golden = Hinge("negative_margin_" + NameOf(type), type);
    golden.options.margin = -1.5;
    cases.push_back(golden);
    golden = Hinge("power_" + NameOf(type), type);
    golden.options.power = 2;
    cases.push_back(golden);
    golden = WithFactors(Hinge("everything_" + NameOf(type), type));
    golden.options = {.margin = 2.25, .power = 2};
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  AddHingeEdges(cases);
  cases.push_back(Labelled(Written(Loss::kMulticlassHinge, "one_class_float32",
                                   kFloat32, 1, {2, -3}, "no other class: 0"),
                           {0, 0}));
  GoldenCase golden = Drawn(Loss::kMulticlassHinge, "fifty_classes_float32",
                            kFloat32, Labels::kIndices, 1, 50);
  golden.logits = Draw(golden).Full(50, -12, 12);
  golden.options.power = 2;
  cases.push_back(golden);
  return cases;
}

}  // namespace lossd::golden
