// Softmax cross-entropy's golden cases.
#include <cstddef>
#include <utility>

#include "tests/golden/draw.h"

namespace lossd::golden {
namespace {

constexpr Loss kLoss = Loss::kSoftmaxCrossEntropy;
constexpr ElementType kFloat16 = ElementType::kFloat16;
constexpr ElementType kBFloat16 = ElementType::kBFloat16;
constexpr ElementType kFloat32 = ElementType::kFloat32;
constexpr ElementType kFloat64 = ElementType::kFloat64;

using Cases = std::vector<GoldenCase>;

GoldenCase Indexed(const std::string& name, ElementType type) {
  return Drawn(kLoss, name, type, Labels::kIndices, 4, 5);
}
GoldenCase Soft(const std::string& name, ElementType type) {
  return Drawn(kLoss, name, type, Labels::kProbabilities, 3, 4);
}

const std::vector<double> kWeights = {0.5, 2, 1, 0.25, 3};
const std::vector<double> kFourWeights = {0.5, 2, 0, 1.5};

// Each option alone, with both kinds of labels where it goes with both, and
// all of them at once.
void AddOptions(Cases& cases) {
  const auto add = [&](const std::string& option, const auto& set) {
    GoldenCase golden = Indexed(option + "_float32", kFloat32);
    set(golden.options);
    cases.push_back(std::move(golden));
    golden = Soft(option + "_probabilities_float64", kFloat64);
    set(golden.options);
    if (!golden.options.class_weights.empty()) {
      golden.options.class_weights = kFourWeights;
    }
    cases.push_back(std::move(golden));
  };
  add("class_weights", [](Options& o) { o.class_weights = kWeights; });
  add("label_smoothing", [](Options& o) { o.label_smoothing = 0.1; });
  add("full_label_smoothing", [](Options& o) { o.label_smoothing = 1; });
  add("z_loss", [](Options& o) { o.z_loss = 1e-4; });
  add("logit_scale", [](Options& o) { o.logit_scale = 0.7; });
  add("logit_softcap", [](Options& o) { o.logit_softcap = 2.5; });
  const auto set_all = [](Options& o) {
    o.label_smoothing = 0.1;
    o.z_loss = 0.01;
    o.logit_scale = 1.3;
    o.class_weights = kWeights;
  };
  add("all_but_softcap", set_all);
  add("all_options", [&](Options& o) {
    set_all(o);
    o.logit_softcap = 3;
  });
}

void AddIgnored(Cases& cases) {
  for (const int64_t index : {-100, 2, 5}) {
    GoldenCase golden =
        Indexed("ignore_index_" + std::string(index < 0 ? "minus_" : "") +
                    std::to_string(index < 0 ? -index : index) + "_float32",
                kFloat32);
    golden.options.ignore_index = index;
    golden.options.class_weights = kWeights;
    golden.labels = {0, index, 4, index};
    cases.push_back(std::move(golden));
  }
  GoldenCase golden = Indexed("every_row_ignored_float64", kFloat64);
  golden.note = "0 / 0: the mean is NaN, the gradient 0";
  golden.options.ignore_index = 3;
  golden.labels = {3, 3, 3, 3};
  cases.push_back(golden);
  golden = Indexed("every_weight_zero_float32", kFloat32);
  golden.note = "0 / 0 again, though rows count";
  golden.row_weights = {0, 0, 0, 0};
  cases.push_back(golden);
  golden = WithFactors(Indexed("everything_float32", kFloat32));
  golden.options = {.label_smoothing = 0.2,
                    .z_loss = 0.001,
                    .logit_scale = 0.5,
                    .ignore_index = 1,
                    .class_weights = kWeights};
  golden.labels = {4, 1, 2, 0};
  cases.push_back(golden);
}

// Two classes `margins` apart, each label in turn.
GoldenCase Margins(const std::string& name, ElementType type,
                   const std::vector<double>& margins,
                   const std::string& note) {
  std::vector<double> logits;
  std::vector<int64_t> labels;
  for (const double margin : margins) {
    for (const int64_t label : {0, 1}) {
      logits.insert(logits.end(), {margin, 0});
      labels.push_back(label);
    }
  }
  GoldenCase golden = Written(kLoss, name, type, 2, logits, note);
  golden.labels = labels;
  golden.reduction = Reduction::kNone;
  return golden;
}

GoldenCase Labelled(GoldenCase golden, const std::vector<int64_t>& labels) {
  golden.labels = labels;
  return golden;
}

void AddMargins(Cases& cases) {
  cases.push_back(Margins(
      "margins_float32", kFloat32,
      {1, 10, 15, 16, 17, 20, 40, 87, 88.5, 100, 103.5, 104, 105, 1000},
      "p_y - 1 in float32 has lost 17% at 15 and all digits from 17 on; "
      "denormal from 88 on"));
  cases.push_back(Margins("margins_float64", kFloat64,
                          {1, 17, 30, 36, 37.42994775023705, 40, 100, 700,
                           708.5, 720, 744, 745, 746, 1900},
                          "the same for float64: no digit of p_y - 1 is left "
                          "from 37 on; denormal from 708 on"));
  cases.push_back(Margins("margins_float16", kFloat16,
                          {1, 6.90625, 7, 9, 12, 16, 17, 17.5, 1000},
                          "in float16 p_y is 1 from 8 on"));
  cases.push_back(Margins("margins_bfloat16", kBFloat16,
                          {1, 5, 6.90625, 7, 9, 40, 92, 1000},
                          "in bfloat16 p_y is 1 from 6 on: p = 0.999 has no "
                          "right digit of its gradient left"));
}

void AddOffsets(Cases& cases) {
  cases.push_back(Labelled(
      Written(kLoss, "offset_float32", kFloat32, 2,
              {1000002, 999999, -999998, -1000001, 16777218, 16777216},
              "lse - z_y under an offset: 0.0625 instead of 0.0486 in float32"),
      {0, 1, 1}));
  cases.push_back(Labelled(Written(kLoss, "offset_float64", kFloat64, 3,
                                   {1e6 + 2, 1e6 - 1, 1e6, -1e15, -1e15 + 0.5,
                                    -1e15 - 1, 1e100, 1e100, 1e100},
                                   "lse is far larger than the loss"),
                           {0, 2, 1}));
  cases.push_back(Labelled(
      Written(kLoss, "offset_float16", kFloat16, 2,
              {60000, 59968, -2048, -2050}, "next to float16's largest number"),
      {1, 0}));
  GoldenCase golden = Labelled(Written(kLoss, "offset_z_loss_float32", kFloat32,
                                       3, {1000, 1001, 999.5, -3, -2.5, -2.25},
                                       "the z-loss sees the offset"),
                               {0, 1});
  golden.options.z_loss = 0.25;
  cases.push_back(golden);
}

void AddMasks(Cases& cases) {
  GoldenCase golden =
      Labelled(Written(kLoss, "masked_float32", kFloat32, 4,
                       {-kInfinity, 1, 2, -kInfinity, 0.5, -kInfinity,
                        -kInfinity, -kInfinity, -kInfinity, 3, -1, 0},
                       "impossible classes; in row 1 one class is left"),
               {2, 0, 1});
  cases.push_back(golden);
  golden.name = "masked_float64";
  golden.type = kFloat64;
  golden.options = {.z_loss = 0.5, .class_weights = {2, 1, 0.5, 3}};
  cases.push_back(golden);
  golden.name = "masked_softcap_float64";
  golden.note = "the mask stays one under the cap";
  golden.options = {.logit_softcap = 1.5};
  cases.push_back(golden);
  golden = Labelled(
      Written(kLoss, "masked_label_float32", kFloat32, 3,
              {-kInfinity, 1, 2, 0, 1, -kInfinity},
              "the label is impossible in row 0: loss +inf, a gradient all the "
              "same"),
      {0, 1});
  cases.push_back(golden);
  golden.name = "masked_label_of_weight_zero_float32";
  golden.note = "0 times infinity is 0";
  golden.row_weights = {0, 1};
  cases.push_back(golden);
  golden = Written(kLoss, "masked_probabilities_float32", kFloat32, 3,
                   {-kInfinity, 1, 2, 0, 1, -kInfinity},
                   "a target of 0 there adds nothing, another is infinite");
  golden.targets = {0, 0.25, 0.75, 0.5, 0.25, 0.25};
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden =
      Labelled(Written(kLoss, "masked_label_smoothing_float32", kFloat32, 3,
                       {-kInfinity, 1, 2}, "smoothing reaches the mask"),
               {2});
  golden.options.label_smoothing = 0.1;
  cases.push_back(golden);
}

void AddEqualRows(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
    cases.push_back(Labelled(Written(kLoss, "one_class_" + NameOf(type), type,
                                     1, {3.5, -1000}, "loss 0, gradient 0"),
                             {0, 0}));
    cases.push_back(
        Labelled(Written(kLoss, "equal_" + NameOf(type), type, 7,
                         {0, 0, 0, 0, 0, 0, 0, 11, 11, 11, 11, 11, 11, 11},
                         "equal logits: the loss is ln 7"),
                 {0, 6}));
  }
  GoldenCase golden =
      Labelled(Written(kLoss, "equal_weighted_float32", kFloat32, 2,
                       {5, 5, -2, -2}, "1/2 times a weight of 25 bits: a tie"),
               {0, 1});
  golden.row_weights = {16777217.0 / 16777216, 33554433.0 / 33554432};
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden = Labelled(Written(kLoss, "equal_smoothed_float64", kFloat64, 3,
                            {0.1, 0.1, 0.1}, "q = p = 1/3: gradient 0"),
                    {1});
  golden.options.label_smoothing = 1;
  cases.push_back(golden);
  cases.push_back(
      Labelled(Written(kLoss, "denormal_float32", kFloat32, 4,
                       {0, -95, -100, -103, -0.5, -90, 0.25, -99.75},
                       "probabilities below float32's normal numbers"),
               {0, 3}));
  cases.push_back(
      Labelled(Written(kLoss, "denormal_float64", kFloat64, 3,
                       {0, -715, -744, 0.5, -730.25, -1},
                       "probabilities below float64's normal numbers"),
               {0, 1}));
}

// Where q is next to p the gradient's two terms cancel.
void AddCancelling(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64, kFloat16}) {
    GoldenCase golden = Soft("targets_next_to_softmax_" + NameOf(type), type);
    golden.note = "each target is the probability, correctly rounded";
    golden.logits = Draw(golden).Full(12, -3, 3);
    golden.targets = RoundedSoftmax(golden);
    golden.reduction = Reduction::kNone;
    cases.push_back(golden);
    golden = Labelled(
        Written(kLoss, "smoothing_next_to_softmax_" + NameOf(type), type, 2,
                {2.9444389791664403, 0, 0, 2.9444389791664403},
                "ln 19: p = 0.95 is the smoothed target"),
        {0, 1});
    golden.options.label_smoothing = 0.1;
    cases.push_back(golden);
  }
}

void AddSizes(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
    GoldenCase golden = Drawn(kLoss, "fifty_classes_" + NameOf(type), type,
                              Labels::kIndices, 1, 50);
    golden.logits = Draw(golden).Full(50, -12, 12);
    cases.push_back(golden);
  }
  GoldenCase golden = Indexed("full_precision_float64", kFloat64);
  golden.logits = Draw(golden).Full(20, -5, 5);
  golden.reduction = Reduction::kNone;
  cases.push_back(golden);
  golden = Indexed("large_scale_float32", kFloat32);
  golden.note = "a scale of 1e6 on logits that differ by 1e-5";
  for (double& z : golden.logits) z *= 0x1p-18;
  golden.options.logit_scale = 1e6;
  cases.push_back(golden);
  golden = Indexed("small_scale_float64", kFloat64);
  golden.options.logit_scale = 1e-6;
  cases.push_back(golden);
  golden = Indexed("small_softcap_float32", kFloat32);
  golden.note = "most logits saturate: 1 - tanh^2 is all of the gradient";
  golden.options.logit_softcap = 0.25;
  cases.push_back(golden);
  golden = Indexed("large_softcap_float64", kFloat64);
  golden.options.logit_softcap = 50;
  cases.push_back(golden);
  golden = Soft("unnormalized_targets_float32", kFloat32);
  golden.note = "targets need not add up to 1";
  for (double& t : golden.targets) t *= 3;
  cases.push_back(golden);
}

void AddProducts(Cases& cases) {
  for (const ElementType type : {kFloat32, kFloat64, kFloat16, kBFloat16}) {
    cases.push_back(WithVector(Indexed("hessian_" + NameOf(type), type)));
  }
  cases.push_back(
      WithVector(WithFactors(Soft("hessian_probabilities_float64", kFloat64))));
  GoldenCase golden =
      WithFactors(WithVector(Indexed("hessian_options_float64", kFloat64)));
  golden.options = {.label_smoothing = 0.1,
                    .z_loss = 0.01,
                    .logit_scale = 1.3,
                    .ignore_index = 2,
                    .class_weights = kWeights};
  golden.labels = {0, 2, 1, 4};
  golden.divisor = 5;
  cases.push_back(golden);
  golden.name = "hessian_options_float32";
  golden.type = kFloat32;
  cases.push_back(golden);
  golden = WithVector(Indexed("hessian_softcap_float64", kFloat64));
  golden.options = {.logit_scale = 0.75, .logit_softcap = 3};
  cases.push_back(golden);
  golden.name = "hessian_softcap_float32";
  golden.type = kFloat32;
  cases.push_back(golden);
  golden = Indexed("hessian_constant_vector_float64", kFloat64);
  golden.note = "the softmax does not see a common offset: 0, exactly";
  golden.vector.assign(20, 0.3);
  cases.push_back(golden);
  golden = Labelled(
      Written(kLoss, "hessian_margins_float64", kFloat64, 2,
              {17, 0, 40, 0, 700, 0}, "p (1 - p) where p is 1 to all digits"),
      {0, 1, 0});
  golden.vector = {1, 0, 1, 0.5, -1, 2};
  cases.push_back(golden);
  golden =
      Labelled(Written(kLoss, "hessian_masked_float32", kFloat32, 3,
                       {-kInfinity, 1, 2, 0, -kInfinity, 0.5}, "0 on the mask"),
               {2, 0});
  golden.vector = {100, 0.5, -1, 1, -7, 0.25};
  cases.push_back(golden);
}

}  // namespace

std::vector<GoldenCase> SoftmaxCrossEntropyCases() {
  Cases cases;
  AddEverywhere("", Indexed, cases);
  AddFew("probabilities_", Soft, cases);
  AddOptions(cases);
  AddIgnored(cases);
  AddMargins(cases);
  AddOffsets(cases);
  AddMasks(cases);
  AddEqualRows(cases);
  AddCancelling(cases);
  AddSizes(cases);
  AddProducts(cases);
  return cases;
}

}  // namespace lossd::golden
