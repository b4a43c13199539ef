#include "server/rpc/loss_spec.h"

#include <gtest/gtest.h>

#include <variant>

#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

constexpr int64_t kClasses = 3;

struct Converted {
  absl::Status status;   // what is wrong
  absl::Status unbuilt;  // what is missing
  compute::LossSpec spec;
};

Converted Convert(const v1::LossSpec& spec) {
  Unbuilt unbuilt;
  const auto converted = LossSpecFromProto(spec, kClasses, unbuilt);
  return {converted.status(), unbuilt.status(),
          converted.ok() ? *converted : compute::LossSpec()};
}

Converted Convert(const std::string& text) {
  return Convert(FromText<v1::LossSpec>(text));
}

TEST(LossSpecTest, IsSoftmaxCrossEntropyWhenUnset) {
  const Converted converted = Convert("");
  EXPECT_TRUE(converted.status.ok() && converted.unbuilt.ok());
  EXPECT_FALSE(std::get<compute::SoftmaxCrossEntropy>(converted.spec)
                   .ignore_index.has_value());
}

TEST(LossSpecTest, TakesIgnoreIndex) {
  const Converted converted =
      Convert("softmax_cross_entropy { ignore_index: -100 }");
  EXPECT_TRUE(converted.status.ok() && converted.unbuilt.ok());
  EXPECT_EQ(std::get<compute::SoftmaxCrossEntropy>(converted.spec).ignore_index,
            -100);
}

TEST(LossSpecTest, TakesOptionsAtTheirDefaults) {
  const Converted converted = Convert(
      "softmax_cross_entropy { label_smoothing: 0 z_loss: 0 logit_scale: 1 }");
  EXPECT_TRUE(converted.status.ok()) << converted.status;
  EXPECT_TRUE(converted.unbuilt.ok()) << converted.unbuilt;
}

TEST(LossSpecTest, NamesEachOptionNotInThisBuild) {
  for (const auto& [option, text] :
       std::vector<std::pair<std::string, std::string>>{
           {"label_smoothing", "label_smoothing: 0.1"},
           {"class_weights",
            "class_weights { shape: 3 float_values { values: [ 1, 1, 1 ] } }"},
           {"z_loss", "z_loss: 0.5"},
           {"logit_scale", "logit_scale: 2"},
           {"logit_softcap", "logit_softcap: 30"}}) {
    const Converted converted = Convert("softmax_cross_entropy {" + text + "}");
    EXPECT_TRUE(converted.status.ok()) << converted.status;
    const std::string path = "loss.softmax_cross_entropy." + option;
    EXPECT_THAT(
        converted.unbuilt,
        IsNotBuilt("option \"" + path + "\" is not in this build", path));
  }
}

TEST(LossSpecTest, NamesEachLossNotInThisBuild) {
  for (const std::string loss :
       {"sigmoid_cross_entropy", "negative_log_likelihood", "kl_divergence",
        "softmax_focal", "sigmoid_focal", "multiclass_hinge", "squared_error",
        "huber"}) {
    const Converted converted = Convert(loss + "{}");
    EXPECT_TRUE(converted.status.ok()) << converted.status;
    EXPECT_THAT(converted.unbuilt,
                IsNotBuilt("loss \"" + loss + "\" is not in this build",
                           "loss." + loss));
  }
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
const std::vector<std::string> kNegative = {"-1e-300", "nan", "inf"};

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
              {"0", "1e300"},
              kNegative,
              "a finite number >= 0"},
        Bound{"softmax_cross_entropy",
              "logit_scale",
              {"-1", "0", "1e300"},
              {"nan", "inf", "-inf"},
              "a finite number"},
        Bound{"softmax_cross_entropy",
              "logit_softcap",
              {"1e-300", "1e300"},
              kNotPositive,
              "a finite number > 0"},
        Bound{"sigmoid_cross_entropy",
              "label_smoothing",
              {"0", "1"},
              kOutsideUnit,
              "[0, 1]"},
        Bound{"kl_divergence",
              "temperature",
              {"1e-300", "1e300"},
              kNotPositive,
              "a finite number > 0"},
        Bound{"softmax_focal",
              "gamma",
              {"0", "1e300"},
              kNegative,
              "a finite number >= 0"},
        Bound{"sigmoid_focal",
              "gamma",
              {"0", "1e300"},
              kNegative,
              "a finite number >= 0"},
        Bound{"sigmoid_focal", "alpha", {"0", "1"}, kOutsideUnit, "[0, 1]"},
        Bound{"multiclass_hinge",
              "margin",
              {"-1e300", "1e300"},
              {"nan", "inf", "-inf"},
              "a finite number"},
        Bound{"multiclass_hinge",
              "power",
              {"1", "2"},
              {"0", "3", "-1"},
              "1 or 2"},
        Bound{"huber",
              "delta",
              {"1e-300", "1e300"},
              kNotPositive,
              "a finite number > 0"}),
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

TEST(LossSpecTest, SaysWhatIsWrongBeforeWhatIsMissing) {
  const Converted converted = Convert(
      "softmax_cross_entropy { label_smoothing: 0.1 logit_softcap: -1 }");
  EXPECT_THAT(
      converted.status,
      IsInvalid("loss.softmax_cross_entropy.logit_softcap = -1, want a finite "
                "number > 0",
                "loss.softmax_cross_entropy.logit_softcap"));
}

}  // namespace
}  // namespace lossd::rpc
