// The golden cases of the losses over a target for each logit.
#include <cstddef>
#include <utility>

#include "tests/golden/draw.h"

namespace lossd::golden {
namespace {

constexpr ElementType kFloat16 = ElementType::kFloat16;
constexpr ElementType kBFloat16 = ElementType::kBFloat16;
constexpr ElementType kFloat32 = ElementType::kFloat32;
constexpr ElementType kFloat64 = ElementType::kFloat64;

using Cases = std::vector<GoldenCase>;

const std::vector<double> kWeights = {0.5, 2, 0, 3};

MakeCase With(Loss loss, Labels labels) {
  return [loss, labels](const std::string& name, ElementType type) {
    return Drawn(loss, name, type, labels, 3, 4);
  };
}

GoldenCase Targeted(GoldenCase golden, const std::vector<double>& targets) {
  for (const double t : targets) {
    golden.targets.push_back(RoundedTo(golden.type, t));
  }
  return golden;
}

void AddProducts(const MakeCase& make, const auto& set_options, Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
    cases.push_back(WithVector(make("hessian_" + NameOf(type), type)));
  }
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden =
        WithFactors(WithVector(make("hessian_options_" + NameOf(type), type)));
    set_options(golden.options);
    cases.push_back(golden);
  }
}

// What sigmoid losses have in common: saturated logits, targets next to the
// sigmoid, masks.
void AddSigmoidEdges(Loss loss, Cases& cases) {
  GoldenCase golden =
      Written(loss, "saturated_float32", kFloat32, 4,
              {17, -17, 40, -40, 88, -88, 104, -104, 17, -17, 30, -30},
              "1 - sigma cancels; denormal from 88 on");
  golden = Targeted(golden, {1, 0, 1, 0, 1, 0, 1, 0, 0, 1, 0.5, 0.5});
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden.name = "saturated_float64";
  golden.type = kFloat64;
  golden.logits = {37, -37, 100, -100, 300, -300, 740, -740, 37, -37, 60, -60};
  golden.note = "the same for float64; denormal from 708 on";
  cases.push_back(golden);
  for (const ElementType type : {kFloat32, kFloat64, kBFloat16}) {
    golden = Drawn(loss, "next_to_sigmoid_" + NameOf(type), type,
                   Labels::kUnitTargets, 2, 4);
    golden.note = "each target is the probability, correctly rounded";
    golden.logits = Draw(golden).Full(8, -4, 4);
    golden.targets = RoundedSigmoid(golden);
    golden.reduction = Reduction::kSum;
    cases.push_back(golden);
  }
  cases.push_back(Targeted(Written(loss, "zero_float32", kFloat32, 3,
                                   {0, 0, 0, 0, 0, 0}, "sigma = 1/2"),
                           {0.5, 0, 1, 0.25, 0.75, 0.5}));
  golden = Targeted(Written(loss, "masked_float32", kFloat32, 3,
                            {-kInfinity, 1, -kInfinity, 0, -kInfinity, 2},
                            "sigma = 0: nothing for a target of 0, else "
                            "infinite"),
                    {0, 1, 0, 0, 1, 0});
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  cases.push_back(Targeted(
      Written(loss, "one_class_float64", kFloat64, 1, {0.3, -2}, ""), {1, 0}));
  golden = Drawn(loss, "fifty_classes_float32", kFloat32, Labels::kUnitTargets,
                 1, 50);
  golden.logits = Draw(golden).Full(50, -12, 12);
  cases.push_back(golden);
}

}  // namespace

std::vector<GoldenCase> SigmoidCrossEntropyCases() {
  constexpr Loss kLoss = Loss::kSigmoidCrossEntropy;
  const MakeCase make = With(kLoss, Labels::kUnitTargets);
  Cases cases;
  AddEverywhere("", make, cases);
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = make("positive_weights_" + NameOf(type), type);
    golden.options.positive_weights = kWeights;
    cases.push_back(golden);
    golden = make("label_smoothing_" + NameOf(type), type);
    golden.options.label_smoothing = 0.1;
    cases.push_back(golden);
    golden = WithFactors(make("everything_" + NameOf(type), type));
    golden.options = {.label_smoothing = 0.25, .positive_weights = kWeights};
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  GoldenCase golden = make("full_label_smoothing_float32", kFloat32);
  golden.options.label_smoothing = 1;
  cases.push_back(golden);
  AddSigmoidEdges(kLoss, cases);
  AddProducts(
      make,
      [](Options& o) {
        o.label_smoothing = 0.1;
        o.positive_weights = kWeights;
      },
      cases);
  return cases;
}

std::vector<GoldenCase> SigmoidFocalCases() {
  constexpr Loss kLoss = Loss::kSigmoidFocal;
  const MakeCase make = With(kLoss, Labels::kUnitTargets);
  Cases cases;
  AddEverywhere("", make, cases);
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = make("alpha_" + NameOf(type), type);
    golden.options.alpha = 0.25;
    cases.push_back(golden);
    golden = make("gamma_zero_" + NameOf(type), type);
    golden.note = "sigmoid cross-entropy";
    golden.options.gamma = 0;
    cases.push_back(golden);
    golden = make("gamma_half_" + NameOf(type), type);
    golden.options.gamma = 0.5;
    cases.push_back(golden);
    golden = make("gamma_one_" + NameOf(type), type);
    golden.options.gamma = 1;
    cases.push_back(golden);
    golden = WithFactors(make("everything_" + NameOf(type), type));
    golden.options = {.gamma = 3.7, .alpha = 0.6};
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  GoldenCase golden = make("alpha_one_float32", kFloat32);
  golden.note = "negative targets weigh nothing";
  golden.options.alpha = 1;
  cases.push_back(golden);
  AddSigmoidEdges(kLoss, cases);
  AddProducts(
      make,
      [](Options& o) {
        o.gamma = 1.5;
        o.alpha = 0.25;
      },
      cases);
  return cases;
}

std::vector<GoldenCase> SquaredErrorCases() {
  constexpr Loss kLoss = Loss::kSquaredError;
  const MakeCase make = With(kLoss, Labels::kRealTargets);
  Cases cases;
  AddEverywhere("", make, cases);
  GoldenCase golden =
      Targeted(Written(kLoss, "cancelling_float32", kFloat32, 3,
                       {16777216, 1.0000001, 1e-30, 0.1, 3, -2.5},
                       "z - t has few digits of either, or none"),
               {16777214, 1, 1.0000001e-30, 0.1, 3.0000002, 2.5});
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden = Targeted(Written(kLoss, "cancelling_float64", kFloat64, 3,
                            {1e15, 0.1, 1e300, 1e-8, 1, -1e10},
                            "z - t is no float64: 0.1 - 1e-17"),
                    {1e15 + 0.125, 1e-17, 1e300, -1e8, 1 + 0x1p-52, 1e-10});
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  cases.push_back(
      Targeted(Written(kLoss, "masked_float32", kFloat32, 2,
                       {-kInfinity, 1, 0.5, 2}, "loss +inf, gradient -inf"),
               {0, 1, 1, 1}));
  cases.push_back(Targeted(
      Written(kLoss, "one_class_float16", kFloat16, 1, {0.3, -2}, ""), {1, 0}));
  golden = Drawn(kLoss, "thirty_two_classes_float64", kFloat64,
                 Labels::kRealTargets, 1, 32);
  golden.logits = Draw(golden).Full(32, -12, 12);
  cases.push_back(golden);
  AddProducts(
      make, [](Options&) {}, cases);
  return cases;
}

std::vector<GoldenCase> HuberCases() {
  constexpr Loss kLoss = Loss::kHuber;
  const MakeCase make = With(kLoss, Labels::kRealTargets);
  Cases cases;
  AddEverywhere("", make, cases);
  for (const ElementType type : {kFloat32, kFloat64}) {
    GoldenCase golden = make("delta_" + NameOf(type), type);
    golden.options.delta = 0.3;
    cases.push_back(golden);
    golden = make("large_delta_" + NameOf(type), type);
    golden.note = "quadratic everywhere: half the squared error";
    golden.options.delta = 100;
    cases.push_back(golden);
    golden = WithFactors(make("everything_" + NameOf(type), type));
    golden.options.delta = 2.5;
    if (type == kFloat32) golden.reduction = Reduction::kNone;
    cases.push_back(golden);
  }
  GoldenCase golden =
      Targeted(Written(kLoss, "at_delta_float64", kFloat64, 4,
                       {1, -1, 1 + 0x1p-52, 1 - 0x1p-53, 0, 1e16, 3, -1e-9},
                       "at delta itself, a last bit beyond and before it"),
               {0, 0, 0, 0, 0, 1e16 - 2, 3, 1e-9});
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  cases.push_back(Targeted(
      Written(kLoss, "masked_float32", kFloat32, 2, {-kInfinity, 1, 0.5, 2},
              "loss +inf, the gradient -delta"),
      {0, 1, 1, 1}));
  cases.push_back(Targeted(
      Written(kLoss, "one_class_bfloat16", kBFloat16, 1, {0.3, -2}, ""),
      {1, 0}));
  AddProducts(
      make, [](Options& o) { o.delta = 1.7; }, cases);
  return cases;
}

}  // namespace lossd::golden
