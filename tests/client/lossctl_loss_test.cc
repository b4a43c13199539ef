// Every loss flag of lossctl: what arrives at the server, and what is bad
// usage.
#include <cstdint>
#include <string>
#include <vector>

#include "client/lossctl/npy.h"
#include "client/lossd/losses.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"
#include "tests/client/recorder.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProcessResult;
using testing::Recorder;
using testing::SetRaw;
using testing::Values;

using Arguments = std::vector<std::string>;

const std::vector<double> kLogits = {1, 2, 3, 4, 5, 6};
const std::vector<int64_t> kLabels = {2, 0};
const std::vector<double> kTargets = {0.5, 0.5, 0, 0, 0.25, 0.75};

class LossctlLossTest : public ::testing::Test {
 protected:
  LossctlLossTest() {
    directory_.Write("z.npy", NpyBytes(kLogits, {2, 3}));
    directory_.Write("y.npy", NpyBytes(kLabels, {2}));
    directory_.Write("t.npy", NpyBytes(kTargets, {2, 3}));
    directory_.Write("w.npy", NpyBytes(std::vector<int64_t>{3, 2, 1}, {3}));
  }

  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }

  ProcessResult Run(const Arguments& command, const std::string& labels,
                    const Arguments& more) {
    Arguments arguments = {LOSSCTL_BINARY, "--target", recorder_.target()};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const Arguments files = {"--logits", Path("z.npy"), "--labels",
                             Path(labels)};
    arguments.insert(arguments.end(), files.begin(), files.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }

  v1::ComputeLossRequest Sent(const Arguments& more,
                              const std::string& labels = "y.npy") {
    const ProcessResult result = Run({"compute"}, labels, more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return recorder_.request();
  }

  // What lossctl says to bad usage; nothing is sent.
  std::string BadUsage(const Arguments& more) {
    const ProcessResult result = Run({"compute"}, "y.npy", more);
    EXPECT_EQ(result.exit_code, 2) << ::testing::PrintToString(more);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(recorder_.server().calls(), 0);
    return result.err;
  }

  testing::TestDirectory directory_;
  Recorder recorder_;
};

TEST_F(LossctlLossTest, SendsEveryOptionOfSoftmaxCrossEntropy) {
  const auto sent =
      Sent({"--label-smoothing", "0.1", "--class-weights", "1,0.5,2",
            "--ignore-index", "-100", "--z-loss", "1e-4", "--logit-scale", "3",
            "--logit-softcap", "30"})
          .loss()
          .softmax_cross_entropy();
  EXPECT_EQ(sent.label_smoothing(), 0.1);
  EXPECT_THAT(Values<double>(sent.class_weights()), ElementsAre(1, 0.5, 2));
  EXPECT_EQ(sent.ignore_index(), -100);
  EXPECT_EQ(sent.z_loss(), 1e-4);
  EXPECT_EQ(sent.logit_scale(), 3);
  EXPECT_EQ(sent.logit_softcap(), 30);
}

TEST_F(LossctlLossTest, SendsEveryOptionOfTheLossesOverClassIndices) {
  const auto likelihood =
      Sent({"--loss", "negative_log_likelihood", "--class-weights",
            Path("w.npy"), "--ignore-index", "2"})
          .loss()
          .negative_log_likelihood();
  EXPECT_THAT(Values<double>(likelihood.class_weights()), ElementsAre(3, 2, 1));
  EXPECT_EQ(likelihood.ignore_index(), 2);
  const auto focal = Sent({"--loss", "softmax_focal", "--gamma", "0.5",
                           "--class-weights", "1,2,3", "--ignore-index", "0"})
                         .loss()
                         .softmax_focal();
  EXPECT_EQ(focal.gamma(), 0.5);
  EXPECT_THAT(Values<double>(focal.class_weights()), ElementsAre(1, 2, 3));
  EXPECT_EQ(focal.ignore_index(), 0);
  const auto hinge =
      Sent({"--loss", "multiclass_hinge", "--margin", "-0.5", "--power", "2"})
          .loss()
          .multiclass_hinge();
  EXPECT_EQ(hinge.margin(), -0.5);
  EXPECT_EQ(hinge.power(), 2);
}

TEST_F(LossctlLossTest, SendsEveryOptionOfTheLossesOverTargets) {
  const auto sigmoid =
      Sent({"--loss", "sigmoid_cross_entropy", "--positive-weights", "1,2,3",
            "--label-smoothing", "0.2"},
           "t.npy")
          .loss()
          .sigmoid_cross_entropy();
  EXPECT_THAT(Values<double>(sigmoid.positive_weights()), ElementsAre(1, 2, 3));
  EXPECT_EQ(sigmoid.label_smoothing(), 0.2);
  const auto divergence = Sent({"--loss", "kl_divergence", "--temperature", "4",
                                "--targets-are-logits"},
                               "t.npy")
                              .loss()
                              .kl_divergence();
  EXPECT_EQ(divergence.temperature(), 4);
  EXPECT_TRUE(divergence.targets_are_logits());
  const auto focal =
      Sent({"--loss", "sigmoid_focal", "--gamma", "3", "--alpha", "0.25"},
           "t.npy")
          .loss()
          .sigmoid_focal();
  EXPECT_EQ(focal.gamma(), 3);
  EXPECT_EQ(focal.alpha(), 0.25);
  EXPECT_TRUE(
      Sent({"--loss", "squared_error"}, "t.npy").loss().has_squared_error());
  EXPECT_EQ(
      Sent({"--loss", "huber", "--delta", "2"}, "t.npy").loss().huber().delta(),
      2);
}

TEST_F(LossctlLossTest, TakesFloatLabelsForTargets) {
  const v1::Tensor labels = Sent({}, "t.npy").labels();
  EXPECT_EQ(labels.data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(labels.shape(), ElementsAre(2, 3));
  EXPECT_EQ(Values<double>(labels), kTargets);
}

TEST_F(LossctlLossTest, SendsWhatHoldsForEveryLoss) {
  const auto sent = Sent({"--row-weights", "0,2", "--upstream-gradient",
                          "-1,0.5", "--reduction", "mean", "--divisor", "7"});
  EXPECT_THAT(Values<double>(sent.row_weights()), ElementsAre(0, 2));
  EXPECT_THAT(Values<double>(sent.upstream_gradient()), ElementsAre(-1, 0.5));
  EXPECT_EQ(sent.reduction(), v1::REDUCTION_MEAN);
  EXPECT_EQ(sent.divisor(), 7);
  EXPECT_THAT(
      Values<double>(Sent({"--upstream-gradient", "3"}).upstream_gradient()),
      ElementsAre(3));
}

TEST_F(LossctlLossTest, WritesProbabilitiesAndTheirLogarithms) {
  v1::ComputeLossResponse response;
  const auto type = v1::DATA_TYPE_FLOAT64;
  SetRaw(response.mutable_probabilities(), type, kTargets);
  SetRaw(response.mutable_log_probabilities(), type, kLogits);
  recorder_.Answer(response);
  const auto sent = Sent({"--probabilities-out", Path("p.npy"),
                          "--log-probabilities-out", Path("lp.npy")});
  EXPECT_THAT(sent.outputs(),
              ElementsAre(v1::OUTPUT_LOSS, v1::OUTPUT_PROBABILITIES,
                          v1::OUTPUT_LOG_PROBABILITIES));
  EXPECT_EQ(directory_.Read("p.npy"), NpyBytes(kTargets, {2, 3}));
  EXPECT_EQ(directory_.Read("lp.npy"), NpyBytes(kLogits, {2, 3}));
}

// One flag of each option with a loss that does not have it.
TEST_F(LossctlLossTest, RefusesAnOptionOfAnotherLossAndNamesBoth) {
  EXPECT_EQ(BadUsage({"--gamma", "2"}),
            "lossctl: --gamma is an option of softmax_focal and sigmoid_focal, "
            "not of softmax_cross_entropy\n");
  for (const auto& [loss, flag, value] :
       std::vector<std::tuple<std::string, std::string, std::string>>{
           {"huber", "--label-smoothing", "0.1"},
           {"kl_divergence", "--class-weights", "1,2,3"},
           {"multiclass_hinge", "--ignore-index", "1"},
           {"softmax_focal", "--z-loss", "1"},
           {"negative_log_likelihood", "--logit-scale", "1"},
           {"kl_divergence", "--logit-softcap", "1"},
           {"softmax_cross_entropy", "--positive-weights", "1,2,3"},
           {"softmax_cross_entropy", "--temperature", "2"},
           {"squared_error", "--gamma", "2"},
           {"softmax_focal", "--alpha", "0.5"},
           {"huber", "--margin", "1"},
           {"sigmoid_focal", "--power", "2"},
           {"squared_error", "--delta", "1"}}) {
    const std::string message = BadUsage({"--loss", loss, flag, value});
    EXPECT_THAT(message, HasSubstr(flag + " is an option of "));
    EXPECT_THAT(message, HasSubstr("not of " + loss));
  }
  EXPECT_THAT(BadUsage({"--targets-are-logits"}),
              HasSubstr("--targets-are-logits is an option of kl_divergence"));
}

TEST_F(LossctlLossTest, RefusesValuesItCannotRead) {
  EXPECT_EQ(BadUsage({"--z-loss", "tiny"}),
            "lossctl: --z-loss = tiny, want a number\n");
  EXPECT_EQ(BadUsage({"--ignore-index", "1.5"}),
            "lossctl: --ignore-index = 1.5, want a 64-bit integer\n");
  EXPECT_EQ(BadUsage({"--loss", "multiclass_hinge", "--power", "4294967297"}),
            "lossctl: --power = 4294967297, want a 32-bit integer\n");
  EXPECT_EQ(BadUsage({"--class-weights", "1,x,3"}),
            "lossctl: --class-weights: element 1 is \"x\", want a number; a "
            "file's name ends in .npy\n");
  EXPECT_THAT(BadUsage({"--row-weights", ""}), HasSubstr("element 0 is \"\""));
  EXPECT_THAT(BadUsage({"--class-weights", Path("none.npy")}),
              HasSubstr("none.npy: No such file or directory"));
  EXPECT_THAT(BadUsage({"--loss", "hubris"}), HasSubstr("hubris"));
  EXPECT_THAT(BadUsage({"--reduction", "median"}), HasSubstr("median"));
  EXPECT_THAT(BadUsage({"--divisor", "two"}), HasSubstr("two"));
}

TEST_F(LossctlLossTest, RefusesNumbersThatAreNotOnePerClassOrRow) {
  EXPECT_EQ(BadUsage({"--class-weights", "1,2"}),
            "lossctl: --class-weights has 2 numbers, want 3, one per class\n");
  EXPECT_EQ(BadUsage({"--row-weights", Path("w.npy")}),
            "lossctl: --row-weights has 3 numbers, want 2, one per row\n");
  EXPECT_EQ(
      BadUsage({"--upstream-gradient", "1,2,3"}),
      "lossctl: --upstream-gradient has 3 numbers, want 2, one per row\n");
  EXPECT_EQ(
      BadUsage({"--reduction", "none", "--upstream-gradient", "1"}),
      "lossctl: --upstream-gradient has 1 numbers, want 2, one per row\n");
}

TEST_F(LossctlLossTest, HelpListsEveryLossWithItsOptionsAndDefaults) {
  for (const Arguments& command :
       std::vector<Arguments>{{"--help"},
                              {"compute", "--help"},
                              {"check-gradient", "--help"},
                              {"hvp", "--help"}}) {
    Arguments arguments = {LOSSCTL_BINARY};
    arguments.insert(arguments.end(), command.begin(), command.end());
    const ProcessResult result = testing::RunProcess(arguments);
    EXPECT_EQ(result.exit_code, 0);
    for (const std::string& loss : LossNames()) {
      EXPECT_THAT(result.out, HasSubstr("\n  " + loss + ": "));
    }
    EXPECT_THAT(result.out, HasSubstr("  sigmoid_focal: targets\n"
                                      "      --gamma (2)\n"
                                      "      --alpha (none)\n"));
    EXPECT_THAT(result.out, HasSubstr("      --logit-scale (1)\n"));
    EXPECT_THAT(result.out, HasSubstr("      --targets-are-logits (no)\n"));
  }
}

TEST_F(LossctlLossTest, MultipliesTheHessianByAVector) {
  directory_.Write("v.npy", NpyBytes(kTargets, {2, 3}));
  v1::ComputeHessianVectorProductResponse response;
  SetRaw(response.mutable_product(), v1::DATA_TYPE_FLOAT64, kLogits);
  recorder_.Answer(response);
  const ProcessResult result =
      Run({"hvp"}, "y.npy",
          {"--vector", Path("v.npy"), "--product-out", Path("p.npy"),
           "--z-loss", "0.5", "--row-weights", "1,2"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, "wrote          " + Path("p.npy") + "\n");
  EXPECT_EQ(directory_.Read("p.npy"), NpyBytes(kLogits, {2, 3}));
  const auto request = recorder_.hessian_request();
  EXPECT_EQ(request.base().loss().softmax_cross_entropy().z_loss(), 0.5);
  EXPECT_THAT(Values<double>(request.base().row_weights()), ElementsAre(1, 2));
  EXPECT_EQ(Values<double>(request.vector()), kTargets);
}

TEST_F(LossctlLossTest, HvpRefusesBadUsage) {
  directory_.Write("v.npy", NpyBytes(kTargets, {6}));
  const Arguments product = {"--product-out", Path("p.npy")};
  const auto message = [&](const Arguments& more) {
    const ProcessResult result = Run({"hvp"}, "y.npy", more);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  const std::string out = Path("p.npy");
  EXPECT_THAT(message({"--vector", Path("v.npy"), "--product-out", out}),
              HasSubstr("a vector of shape (6,), want the logits' (2, 3)"));
  EXPECT_THAT(message({"--vector", Path("z.npy")}), HasSubstr("--product-out"));
  EXPECT_THAT(message({"--product-out", out}), HasSubstr("--vector"));
  EXPECT_THAT(message({"--vector", Path("z.npy"), "--product-out", out,
                       "--delta", "1"}),
              HasSubstr("--delta is an option of huber"));
  EXPECT_EQ(recorder_.server().calls(), 0);
}

// As a server of an earlier build answers.
TEST_F(LossctlLossTest, NamesALossThatTheServerDoesNotHave) {
  const std::string message = "loss \"kl_divergence\" is not in this build";
  testing::FakeServer older([&](auto&, const auto& request, auto&) {
    EXPECT_TRUE(request.loss().has_kl_divergence());
    return grpc::Status(grpc::StatusCode::UNIMPLEMENTED, message);
  });
  const ProcessResult result = testing::RunProcess(
      {LOSSCTL_BINARY, "--target", older.target(), "compute", "--logits",
       Path("z.npy"), "--labels", Path("t.npy"), "--loss", "kl_divergence"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "lossctl: UNIMPLEMENTED: " + message + "\n");
}

// Refused by the service: exit code 1, and no file.
TEST_F(LossctlLossTest, HvpLeavesNoFileWhenTheServerHasNoSecondOrder) {
  recorder_.server().OnHessianVectorProduct(nullptr);
  const ProcessResult result =
      Run({"hvp"}, "y.npy",
          {"--vector", Path("z.npy"), "--product-out", Path("p.npy")});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err, "lossctl: UNIMPLEMENTED: no second order\n");
  EXPECT_THAT(directory_.Names(),
              ElementsAre("t.npy", "w.npy", "y.npy", "z.npy"));
}

}  // namespace
}  // namespace lossd::lossctl
