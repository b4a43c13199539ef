// lossctl compute: .npy in, .npy out, and every way in which a file can be
// wrong.
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/lossctl/npy.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"

namespace lossd::lossctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProcessResult;
using ::testing::StartsWith;

// Two samples of two positions each; equal logits but for the last row.
const std::vector<double> kLogits = {0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 0, 100};
const std::vector<int64_t> kLabels = {0, 1, 2, 2};
const Shape kLogitsShape = {2, 2, 3};
const Shape kLabelsShape = {2, 2};

class LossctlComputeTest : public ::testing::Test {
 protected:
  LossctlComputeTest() {
    directory_.Write("z.npy", NpyBytes(kLogits, kLogitsShape));
    directory_.Write("y.npy", NpyBytes(kLabels, kLabelsShape));
  }

  std::string Path(const std::string& name) const {
    return directory_.Path(name);
  }

  ProcessResult Compute(std::vector<std::string> more,
                        const std::string& logits = "z.npy",
                        const std::string& labels = "y.npy") {
    std::vector<std::string> arguments = {
        LOSSCTL_BINARY, "compute",    "--target", server_.target(),
        "--logits",     Path(logits), "--labels", Path(labels)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return testing::RunProcess(arguments);
  }

  template <typename T>
  std::vector<T> Values(const std::string& name, const Shape& shape) {
    const auto array = ReadNpy(Path(name));
    EXPECT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->shape, shape);
    return std::get<std::vector<T>>(array->values);
  }

  testing::TestDirectory directory_;
  testing::ServerProcess server_{LOSSD_BINARY};
};

TEST_F(LossctlComputeTest, WritesEveryOutputInItsShape) {
  const ProcessResult result =
      Compute({"--gradient-out", Path("g.npy"), "--row-losses-out",
               Path("l.npy"), "--log-sum-exp-out", Path("s.npy"),
               "--predictions-out", Path("p.npy"), "--reduction", "none"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto gradient = Values<double>("g.npy", kLogitsShape);
  EXPECT_NEAR(gradient[0], -2.0 / 3, 1e-15);
  EXPECT_NEAR(gradient[1], 1.0 / 3, 1e-15);
  const auto losses = Values<double>("l.npy", kLabelsShape);
  EXPECT_DOUBLE_EQ(losses[0], std::log(3.0));
  EXPECT_NEAR(losses[3] / (2 * std::exp(-100.0)), 1.0, 1e-14);
  const auto log_sum_exp = Values<double>("s.npy", kLabelsShape);
  EXPECT_DOUBLE_EQ(log_sum_exp[1], 1 + std::log(3.0));
  EXPECT_THAT(Values<int64_t>("p.npy", kLabelsShape), ElementsAre(0, 0, 0, 2));
  EXPECT_THAT(directory_.Names(), ElementsAre("g.npy", "l.npy", "p.npy",
                                              "s.npy", "y.npy", "z.npy"));
}

TEST_F(LossctlComputeTest, PrintsTheNumbersAsTextAndAsJson) {
  const ProcessResult text = Compute({"--reduction", "sum"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("rows counted   4 of 4\ncorrect        2"));
  const ProcessResult json = Compute({"--reduction", "sum", "--json"});
  const auto object = nlohmann::json::parse(json.out);
  EXPECT_NEAR(object["loss"], 3 * std::log(3.0), 1e-14);
  EXPECT_EQ(object["row_count"], 4);
  EXPECT_EQ(object["correct_count"], 2);
}

TEST_F(LossctlComputeTest, ObeysIgnoreIndexAndDivisor) {
  const auto loss = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return nlohmann::json::parse(Compute(arguments).out)["loss"].get<double>();
  };
  EXPECT_NEAR(loss({}), 0.75 * std::log(3.0), 1e-14);
  EXPECT_NEAR(loss({"--ignore-index", "2"}), std::log(3.0), 1e-14);
  EXPECT_NEAR(loss({"--divisor", "12"}), 0.25 * std::log(3.0), 1e-14);
}

TEST_F(LossctlComputeTest, TakesFloat32AndInt32) {
  std::vector<float> narrow(kLogits.begin(), kLogits.end());
  directory_.Write("z4.npy", NpyBytes(narrow, kLogitsShape));
  std::string labels = NpyBytes(kLabels, kLabelsShape);
  const std::vector<int32_t> indices(kLabels.begin(), kLabels.end());
  labels.replace(labels.find("<i8"), 3, "<i4");
  labels.replace(labels.size() - 32, 32,
                 reinterpret_cast<const char*>(indices.data()), 16);
  directory_.Write("y4.npy", labels);
  const ProcessResult result =
      Compute({"--gradient-out", Path("g.npy")}, "z4.npy", "y4.npy");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_FLOAT_EQ(Values<float>("g.npy", kLogitsShape)[0], -2.0f / 12);
}

TEST_F(LossctlComputeTest, TakesOneSampleWithoutABatchAxis) {
  directory_.Write("z1.npy", NpyBytes(std::vector<double>{5, 5}, {2}));
  directory_.Write("y1.npy", NpyBytes(std::vector<int64_t>{1}, {}));
  const ProcessResult result =
      Compute({"--row-losses-out", Path("l.npy")}, "z1.npy", "y1.npy");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_DOUBLE_EQ(Values<double>("l.npy", {})[0], std::log(2.0));
}

TEST_F(LossctlComputeTest, ObeysTheNonFinitePolicy) {
  directory_.Write("zn.npy",
                   NpyBytes(std::vector<double>{0, 0, NAN, 0}, {2, 2}));
  directory_.Write("yn.npy", NpyBytes(std::vector<int64_t>{0, 0}, {2}));
  const ProcessResult reject = Compute({}, "zn.npy", "yn.npy");
  EXPECT_EQ(reject.exit_code, 1);
  EXPECT_THAT(reject.err, StartsWith("lossctl: INVALID_ARGUMENT: "));
  const ProcessResult propagate = Compute(
      {"--non-finite-policy", "propagate", "--json"}, "zn.npy", "yn.npy");
  EXPECT_EQ(propagate.exit_code, 0) << propagate.err;
  EXPECT_EQ(nlohmann::json::parse(propagate.out)["loss"], "NaN");
}

// Refused by the service: exit code 1, its message, and no file.
TEST_F(LossctlComputeTest, LeavesNoFileWhenTheServiceRefuses) {
  directory_.Write("bad.npy",
                   NpyBytes(std::vector<int64_t>{0, 1, 3, 2}, kLabelsShape));
  const ProcessResult result =
      Compute({"--gradient-out", Path("g.npy"), "--json"}, "z.npy", "bad.npy");
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_EQ(result.err,
            "lossctl: INVALID_ARGUMENT: labels[2] = 3, want [0, 3)\n");
  const auto error = nlohmann::json::parse(result.out)["error"];
  EXPECT_EQ(error["field"], "labels");
  EXPECT_NE(error["reason"], "");
  EXPECT_THAT(directory_.Names(), ElementsAre("bad.npy", "y.npy", "z.npy"));
}

// Refused here: exit code 2, the file named, and no file.
TEST_F(LossctlComputeTest, RefusesWrongFiles) {
  directory_.Write("short.npy", NpyBytes(kLogits, kLogitsShape).substr(0, 200));
  directory_.Write("text.npy", "not an array");
  directory_.Write("flat.npy", NpyBytes(kLabels, {4}));
  directory_.Write("yf.npy",
                   NpyBytes(std::vector<double>{0, 1, 2, 2}, kLabelsShape));
  directory_.Write("none.npy", NpyBytes(std::vector<double>{}, {4, 0}));
  const auto message = [&](const std::string& logits,
                           const std::string& labels) {
    const ProcessResult result =
        Compute({"--gradient-out", Path("g.npy")}, logits, labels);
    EXPECT_EQ(result.exit_code, 2) << logits << " " << labels;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("lossctl: " + Path("")));
    return result.err;
  };
  EXPECT_THAT(message("absent.npy", "y.npy"), HasSubstr("No such file"));
  EXPECT_THAT(message("short.npy", "y.npy"), HasSubstr("does not fit the 72"));
  EXPECT_THAT(message("text.npy", "y.npy"), HasSubstr("no .npy file"));
  EXPECT_THAT(message("y.npy", "y.npy"), HasSubstr("logits of dtype int64"));
  EXPECT_THAT(message("none.npy", "y.npy"), HasSubstr("at least one class"));
  EXPECT_THAT(message("z.npy", "flat.npy"),
              HasSubstr("labels of shape (4,), want (2, 2)"));
  EXPECT_THAT(message("z.npy", "yf.npy"),
              HasSubstr("float64 labels of shape (2, 2), want (2, 2, 3)"));
  EXPECT_THAT(directory_.Names(),
              ElementsAre("flat.npy", "none.npy", "short.npy", "text.npy",
                          "y.npy", "yf.npy", "z.npy"));
}

TEST_F(LossctlComputeTest, RefusesOutputsItCannotWrite) {
  const auto message = [&](const std::vector<std::string>& more) {
    const ProcessResult result = Compute(more);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(message({"--gradient-out", Path("none/g.npy")}),
              HasSubstr("none/g.npy: No such file or directory"));
  EXPECT_THAT(message({"--gradient-out", "/dev/null"}),
              HasSubstr("/dev/null: is there and is no regular file"));
  EXPECT_THAT(
      message({"--gradient-out", Path("a"), "--predictions-out", Path("a")}),
      HasSubstr("named for two outputs"));
  EXPECT_THAT(directory_.Names(), ElementsAre("y.npy", "z.npy"));
}

TEST_F(LossctlComputeTest, ReplacesAnOutputOnlyOnSuccess) {
  directory_.Write("g.npy", "old");
  server_.Kill();
  EXPECT_EQ(Compute({"--gradient-out", Path("g.npy")}).exit_code, 1);
  EXPECT_EQ(directory_.Read("g.npy"), "old");
}

}  // namespace
}  // namespace lossd::lossctl
