#include "server/rpc/loss_spec.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <variant>

#include "server/compute/losses/kl_divergence.h"
#include "server/compute/losses/softmax_cross_entropy.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

constexpr int64_t kClasses = 3;

struct Converted {
  absl::Status status;   // what is wrong
  absl::Status unbuilt;  // what is missing
  OwnedLossSpec loss;

  const compute::SoftmaxCrossEntropy& spec() const {
    return std::get<compute::SoftmaxCrossEntropy>(loss.spec);
  }
};

Converted Convert(const v1::LossSpec& spec) {
  Unbuilt unbuilt;
  auto converted = LossSpecFromProto(spec, kClasses, unbuilt);
  return {converted.status(), unbuilt.status(),
          converted.ok() ? *std::move(converted) : OwnedLossSpec()};
}

Converted Convert(const std::string& text) {
  return Convert(FromText<v1::LossSpec>(text));
}

TEST(LossSpecTest, IsSoftmaxCrossEntropyWhenUnset) {
  const Converted converted = Convert("");
  EXPECT_TRUE(converted.status.ok() && converted.unbuilt.ok());
  EXPECT_FALSE(converted.spec().ignore_index.has_value());
  EXPECT_TRUE(converted.spec().class_weights.empty());
  EXPECT_EQ(converted.spec().label_smoothing, 0);
  EXPECT_EQ(converted.spec().z_loss, 0);
  EXPECT_EQ(converted.spec().logit_scale, 1);
}

TEST(LossSpecTest, TakesIgnoreIndex) {
  const Converted converted =
      Convert("softmax_cross_entropy { ignore_index: -100 }");
  EXPECT_TRUE(converted.status.ok() && converted.unbuilt.ok());
  EXPECT_EQ(converted.spec().ignore_index, -100);
}

TEST(LossSpecTest, TakesOptionsAtTheirDefaults) {
  const Converted converted = Convert(
      "softmax_cross_entropy { label_smoothing: 0 z_loss: 0 logit_scale: 1 }");
  EXPECT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
}

TEST(LossSpecTest, TakesEveryOptionThatIsANumber) {
  const Converted converted = Convert(
      "softmax_cross_entropy {"
      " label_smoothing: 0.1 z_loss: 0.5 logit_scale: 2 }");
  EXPECT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
  EXPECT_EQ(converted.spec().label_smoothing, 0.1);
  EXPECT_EQ(converted.spec().z_loss, 0.5);
  EXPECT_EQ(converted.spec().logit_scale, 2);
}

v1::LossSpec WithClassWeights(const v1::Tensor& weights) {
  v1::LossSpec spec;
  *spec.mutable_softmax_cross_entropy()->mutable_class_weights() = weights;
  return spec;
}

TEST(LossSpecTest, TakesClassWeightsOfEveryFloatType) {
  for (const v1::DataType type : kFloatTypes) {
    const Converted converted =
        Convert(WithClassWeights(FloatTensor(type, {3}, {0, 0.5, 3})));
    EXPECT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
    EXPECT_THAT(converted.spec().class_weights,
                testing::ElementsAre(0, 0.5, 3));
  }
}

// They are the result's own, not the request's.
TEST(LossSpecTest, KeepsItsClassWeightsWhenMoved) {
  Converted converted = Convert(
      WithClassWeights(FloatTensor(v1::DATA_TYPE_FLOAT64, {3}, {1, 2, 4})));
  const Converted moved = std::move(converted);
  EXPECT_EQ(moved.spec().class_weights.data(), moved.loss.class_weights.data());
  EXPECT_THAT(moved.spec().class_weights, testing::ElementsAre(1, 2, 4));
}

TEST(LossSpecTest, HoldsEachClassWeightToItsRange) {
  const std::string path = "loss.softmax_cross_entropy.class_weights[2]";
  const auto status = [](double weight) {
    return Convert(WithClassWeights(
                       FloatTensor(v1::DATA_TYPE_FLOAT64, {3}, {1, 1, weight})))
        .status;
  };
  for (const double weight : {0.0, -0.0, 0x1p-100, 0x1p100}) {
    EXPECT_TRUE(status(weight).ok()) << status(weight);
  }
  for (const auto& [weight, text] :
       {std::pair{-1.0, "-1"},
        std::pair{std::nextafter(0x1p-100, 0), "7.888609052210117e-31"},
        std::pair{std::nextafter(0x1p100, HUGE_VAL), "1.2676506002282297e+30"},
        std::pair{HUGE_VAL, "inf"},
        std::pair{std::numeric_limits<double>::quiet_NaN(), "nan"}}) {
    EXPECT_THAT(
        status(weight),
        IsInvalid(path + " = " + text + ", want 0 or [2^-100, 2^100]", path));
  }
}

// The core checks again: what it refuses must be refused here, by its path.
TEST(LossSpecTest, TakesNoMoreAndNoLessThanTheCore) {
  for (const double value :
       {0.0, 1e-300, std::nextafter(0x1p-100, 0), 0x1p-100,
        std::nextafter(1e-6, 0), 1e-6, 0.5, 1.0, std::nextafter(1.0, 2), 1e6,
        std::nextafter(1e6, 2e6), 0x1p100, std::nextafter(0x1p100, HUGE_VAL),
        HUGE_VAL, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    for (const std::string option :
         {"label_smoothing", "z_loss", "logit_scale", "logit_softcap"}) {
      v1::LossSpec proto;
      compute::SoftmaxCrossEntropy spec;
      auto& loss = *proto.mutable_softmax_cross_entropy();
      if (option == "label_smoothing") {
        loss.set_label_smoothing(spec.label_smoothing = value);
      } else if (option == "z_loss") {
        loss.set_z_loss(spec.z_loss = value);
      } else if (option == "logit_softcap") {
        loss.set_logit_softcap(value);
        spec.logit_softcap = value;
      } else {
        loss.set_logit_scale(spec.logit_scale = value);
      }
      EXPECT_EQ(Convert(proto).status.ok(),
                compute::CheckOptions(spec, {}).ok())
          << option << " " << value;
    }
  }
}

TEST(LossSpecTest, TakesTheTemperaturesThatTheCoreTakes) {
  for (const double value :
       {0.0, std::nextafter(1e-6, 0), 1e-6, 1.0, 1e6, std::nextafter(1e6, 2e6),
        HUGE_VAL, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
    v1::LossSpec proto;
    proto.mutable_kl_divergence()->set_temperature(value);
    const compute::KlDivergence spec = {.temperature = value};
    EXPECT_EQ(Convert(proto).status.ok(), compute::CheckOptions(spec, {}).ok())
        << value;
  }
}

TEST(LossSpecTest, TakesASoftcapOrNone) {
  const Converted converted =
      Convert("softmax_cross_entropy { logit_softcap: 30 }");
  EXPECT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
  EXPECT_EQ(converted.spec().logit_softcap, 30);
  EXPECT_EQ(Convert("softmax_cross_entropy {}").spec().logit_softcap,
            std::nullopt);
}

TEST(LossSpecTest, TakesEveryOptionOfTheOtherLosses) {
  const auto loss = [](const std::string& text) {
    const Converted converted = Convert(text);
    EXPECT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
    return converted.loss.spec;
  };
  const auto hinge = std::get<compute::MulticlassHinge>(
      loss("multiclass_hinge { margin: -2.5 power: 2 }"));
  EXPECT_EQ(hinge.margin, -2.5);
  EXPECT_EQ(hinge.power, 2);
  EXPECT_EQ(
      std::get<compute::MulticlassHinge>(loss("multiclass_hinge {}")).margin,
      1);
  EXPECT_EQ(std::get<compute::Huber>(loss("huber { delta: 0.25 }")).delta,
            0.25);
  EXPECT_EQ(std::get<compute::Huber>(loss("huber {}")).delta, 1);
  const auto focal = std::get<compute::SigmoidFocal>(
      loss("sigmoid_focal { gamma: 0.5 alpha: 0.25 }"));
  EXPECT_EQ(focal.gamma, 0.5);
  EXPECT_EQ(focal.alpha, 0.25);
  const auto plain = std::get<compute::SigmoidFocal>(loss("sigmoid_focal {}"));
  EXPECT_EQ(plain.gamma, 2);
  EXPECT_FALSE(plain.alpha.has_value());
  loss("squared_error {}");
  const auto divergence = std::get<compute::KlDivergence>(
      loss("kl_divergence { temperature: 4 targets_are_logits: true }"));
  EXPECT_EQ(divergence.temperature, 4);
  EXPECT_TRUE(divergence.targets_are_logits);
  const auto undivided =
      std::get<compute::KlDivergence>(loss("kl_divergence {}"));
  EXPECT_EQ(undivided.temperature, 1);
  EXPECT_FALSE(undivided.targets_are_logits);
  EXPECT_EQ(std::get<compute::SigmoidCrossEntropy>(
                loss("sigmoid_cross_entropy { label_smoothing: 0.5 }"))
                .label_smoothing,
            0.5);
  EXPECT_EQ(std::get<compute::NegativeLogLikelihood>(
                loss("negative_log_likelihood { ignore_index: -7 }"))
                .ignore_index,
            -7);
}

TEST(LossSpecTest, TakesWeightsOfTheOtherLosses) {
  v1::LossSpec sigmoid, likelihood;
  const v1::Tensor weights = FloatTensor(v1::DATA_TYPE_FLOAT64, {3}, {1, 2, 4});
  *sigmoid.mutable_sigmoid_cross_entropy()->mutable_positive_weights() =
      weights;
  *likelihood.mutable_negative_log_likelihood()->mutable_class_weights() =
      weights;
  const Converted a = Convert(sigmoid), b = Convert(likelihood);
  EXPECT_THAT(
      std::get<compute::SigmoidCrossEntropy>(a.loss.spec).positive_weights,
      testing::ElementsAre(1, 2, 4));
  EXPECT_THAT(
      std::get<compute::NegativeLogLikelihood>(b.loss.spec).class_weights,
      testing::ElementsAre(1, 2, 4));
}

TEST(LossSpecTest, NamesALossOfALaterContract) {
  v1::LossSpec spec;
  spec.GetReflection()->MutableUnknownFields(&spec)->AddLengthDelimited(99, "");
  EXPECT_THAT(Convert(spec).unbuilt,
              IsNotBuilt("the loss of LossSpec's field 99 is not in this build",
                         "loss"));
}

struct Bound {
  std::string loss;
  std::string option;
  std::vector<std::string> inside;   // taken, at the bounds
  std::vector<std::string> outside;  // refused, one past them
  std::string want;
};

class OptionRangeTest : public testing::TestWithParam<Bound> {};

TEST_P(OptionRangeTest, HoldsAtItsBoundsAndNotPastThem) {
  const Bound& bound = GetParam();
  for (const std::string& value : bound.inside) {
    EXPECT_TRUE(Convert(bound.loss + "{" + bound.option + ":" + value + "}")
                    .status.ok())
        << value;
  }
  const std::string path = "loss." + bound.loss + "." + bound.option;
  for (const std::string& value : bound.outside) {
    EXPECT_THAT(
        Convert(bound.loss + "{" + bound.option + ":" + value + "}").status,
        IsInvalid(path + " = " + value + ", want " + bound.want, path));
  }
}

const std::vector<std::string> kOutsideUnit = {"-1e-300", "1.0000000000000002",
                                               "nan", "inf"};
const std::vector<std::string> kNotPositive = {"0", "-1e-300", "nan", "inf"};

INSTANTIATE_TEST_SUITE_P(
    Options, OptionRangeTest,
    testing::Values(
        Bound{"softmax_cross_entropy",
              "label_smoothing",
              {"0", "1"},
              kOutsideUnit,
              "[0, 1]"},
        Bound{"softmax_cross_entropy",
              "z_loss",
              {"0", "7.888609052210118e-31", "1.2676506002282294e+30"},
              {"-1e-300", "7.888609052210117e-31", "1.2676506002282297e+30",
               "nan", "inf"},
              "0 or [2^-100, 2^100]"},
        Bound{"softmax_cross_entropy",
              "logit_scale",
              {"1e-6", "1e6"},
              {"0", "-1", "9.999999999999997e-07", "1000000.0000000001", "nan",
               "inf", "-inf"},
              "[1e-06, 1e+06]"},
        Bound{"softmax_cross_entropy",
              "logit_softcap",
              {"1e-6", "1e6"},
              {"0", "-1", "9.999999999999997e-07", "1000000.0000000001", "nan",
               "inf", "-inf"},
              "[1e-06, 1e+06]"},
        Bound{"sigmoid_cross_entropy",
              "label_smoothing",
              {"0", "1"},
              kOutsideUnit,
              "[0, 1]"},
        Bound{"kl_divergence",
              "temperature",
              {"1e-6", "1e6"},
              {"0", "-1", "9.999999999999997e-07", "1000000.0000000001", "nan",
               "inf"},
              "[1e-06, 1e+06]"},
        Bound{"softmax_focal",
              "gamma",
              {"0", "7.888609052210118e-31", "1.2676506002282294e+30"},
              {"-1e-300", "7.888609052210117e-31", "1.2676506002282297e+30",
               "nan", "inf"},
              "0 or [2^-100, 2^100]"},
        Bound{"sigmoid_focal",
              "gamma",
              {"0", "7.888609052210118e-31", "1.2676506002282294e+30"},
              {"-1e-300", "7.888609052210117e-31", "1.2676506002282297e+30",
               "nan", "inf"},
              "0 or [2^-100, 2^100]"},
        Bound{"sigmoid_focal", "alpha", {"0", "1"}, kOutsideUnit, "[0, 1]"},
        Bound{"multiclass_hinge",
              "margin",
              {"-1.2676506002282294e+30", "1.2676506002282294e+30"},
              {"-1.2676506002282297e+30", "1.2676506002282297e+30", "nan",
               "inf", "-inf"},
              "[-2^100, 2^100]"},
        Bound{"multiclass_hinge",
              "power",
              {"1", "2"},
              {"0", "3", "-1"},
              "1 or 2"},
        Bound{"huber",
              "delta",
              {"7.888609052210118e-31", "1.2676506002282294e+30"},
              {"0", "-1", "7.888609052210117e-31", "1.2676506002282297e+30",
               "nan", "inf"},
              "[2^-100, 2^100]"}),
    [](const auto& info) { return info.param.loss + "_" + info.param.option; });

TEST(LossSpecTest, RejectsWeightsOfAnotherLengthThanTheClasses) {
  for (const std::string option : {"softmax_cross_entropy.class_weights",
                                   "sigmoid_cross_entropy.positive_weights",
                                   "negative_log_likelihood.class_weights",
                                   "softmax_focal.class_weights"}) {
    const std::string loss = option.substr(0, option.find('.'));
    const std::string field = option.substr(option.find('.') + 1);
    EXPECT_THAT(
        Convert(loss + "{" + field +
                "{ shape: 4 float_values { values: [ 1, 1, 1, 1 ] } } }")
            .status,
        IsInvalid("loss." + option + ".shape = [4], want [3]",
                  "loss." + option + ".shape"));
  }
}

TEST(LossSpecTest, RejectsWeightsThatAreNoFloats) {
  EXPECT_THAT(
      Convert("softmax_cross_entropy { class_weights {"
              " shape: 3 int64_values { values: [ 1, 1, 1 ] } } }")
          .status,
      IsInvalid("loss.softmax_cross_entropy.class_weights.data_type = INT64, "
                "want a float type",
                "loss.softmax_cross_entropy.class_weights.data_type"));
}

}  // namespace
}  // namespace lossd::rpc
