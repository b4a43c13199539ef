// ONNX's own node tests of its losses, answered by a started lossd.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/conformance/onnx_case.h"
#include "tests/e2e/lossd_process.h"
#include "tests/e2e/wire.h"

namespace lossd::conformance {
namespace {

// Written down, not looked up: a case that is missing fails.
constexpr const char* kCases[] = {
    "test_nllloss_NC",
    "test_nllloss_NCd1",
    "test_nllloss_NCd1_ii",
    "test_nllloss_NCd1_mean_weight_negative_ii",
    "test_nllloss_NCd1_weight",
    "test_nllloss_NCd1_weight_ii",
    "test_nllloss_NCd1d2",
    "test_nllloss_NCd1d2_no_weight_reduction_mean_ii",
    "test_nllloss_NCd1d2_reduction_mean",
    "test_nllloss_NCd1d2_reduction_sum",
    "test_nllloss_NCd1d2_with_weight",
    "test_nllloss_NCd1d2_with_weight_reduction_mean",
    "test_nllloss_NCd1d2_with_weight_reduction_sum",
    "test_nllloss_NCd1d2_with_weight_reduction_sum_ii",
    "test_nllloss_NCd1d2d3_none_no_weight_negative_ii",
    "test_nllloss_NCd1d2d3_sum_weight_high_ii",
    "test_nllloss_NCd1d2d3d4d5_mean_weight",
    "test_nllloss_NCd1d2d3d4d5_none_no_weight",
    "test_sce_NCd1_mean_weight_negative_ii",
    "test_sce_NCd1_mean_weight_negative_ii_log_prob",
    "test_sce_NCd1d2d3_none_no_weight_negative_ii",
    "test_sce_NCd1d2d3_none_no_weight_negative_ii_log_prob",
    "test_sce_NCd1d2d3_sum_weight_high_ii",
    "test_sce_NCd1d2d3_sum_weight_high_ii_log_prob",
    "test_sce_NCd1d2d3d4d5_mean_weight",
    "test_sce_NCd1d2d3d4d5_mean_weight_log_prob",
    "test_sce_NCd1d2d3d4d5_none_no_weight",
    "test_sce_NCd1d2d3d4d5_none_no_weight_log_prob",
    "test_sce_mean",
    "test_sce_mean_3d",
    "test_sce_mean_3d_log_prob",
    "test_sce_mean_log_prob",
    "test_sce_mean_no_weight_ii",
    "test_sce_mean_no_weight_ii_3d",
    "test_sce_mean_no_weight_ii_3d_log_prob",
    "test_sce_mean_no_weight_ii_4d",
    "test_sce_mean_no_weight_ii_4d_log_prob",
    "test_sce_mean_no_weight_ii_log_prob",
    "test_sce_mean_weight",
    "test_sce_mean_weight_ii",
    "test_sce_mean_weight_ii_3d",
    "test_sce_mean_weight_ii_3d_log_prob",
    "test_sce_mean_weight_ii_4d",
    "test_sce_mean_weight_ii_4d_log_prob",
    "test_sce_mean_weight_ii_log_prob",
    "test_sce_mean_weight_log_prob",
    "test_sce_none",
    "test_sce_none_log_prob",
    "test_sce_none_weights",
    "test_sce_none_weights_log_prob",
    "test_sce_sum",
    "test_sce_sum_log_prob",
};

// ONNX's files hold what NumPy computed in float32: they are up to 2e-7 off the
// formula themselves. ONNX asks for 1e-3.
constexpr double kTolerance = 1e-6;

class OnnxTest : public testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    server = std::make_unique<LossdProcess>(
        LossdProcess::Strings{"--listen", "127.0.0.1:0"});
    channel = Connect(server->WaitForAddress());
  }

  static void TearDownTestSuite() {
    std::printf("%d of %zu ONNX cases\n", agreed, std::size(kCases));
    channel.reset();
    server.reset();
  }

  static v1::ComputeLossResponse Compute(
      const v1::ComputeLossRequest& request) {
    const WireResult result = ComputeLoss(channel, request);
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    v1::ComputeLossResponse response;
    EXPECT_TRUE(response.ParseFromString(result.response));
    return response;
  }

  static inline int agreed = 0;

 private:
  static inline std::unique_ptr<LossdProcess> server;
  static inline std::shared_ptr<grpc::Channel> channel;
};

std::vector<float> FloatsOf(const std::string& raw) {
  EXPECT_EQ(raw.size() % sizeof(float), 0u);
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
  return values;
}

void ExpectClose(double actual, double expected) {
  EXPECT_NEAR(actual, expected, kTolerance * std::abs(expected));
}

void ExpectClose(const v1::Tensor& actual, const onnx::Tensor& expected) {
  ASSERT_EQ(actual.data_type(), v1::DATA_TYPE_FLOAT32);
  ASSERT_EQ(expected.data_type(), onnx::Tensor::FLOAT);
  ASSERT_THAT(actual.shape(), testing::ElementsAreArray(expected.dims()));
  const std::vector<float> actual_values = FloatsOf(actual.raw());
  const std::vector<float> expected_values = FloatsOf(expected.raw_data());
  ASSERT_EQ(actual_values.size(), expected_values.size());
  for (size_t i = 0; i < expected_values.size(); ++i) {
    SCOPED_TRACE("element " + std::to_string(i));
    ExpectClose(actual_values[i], expected_values[i]);
  }
}

TEST_P(OnnxTest, AnswersAsOnnxDoes) {
  const absl::StatusOr<OnnxCase> onnx_case = ReadOnnxCase(GetParam());
  ASSERT_TRUE(onnx_case.ok()) << onnx_case.status();
  const absl::StatusOr<v1::ComputeLossRequest> request = RequestOf(*onnx_case);
  ASSERT_TRUE(request.ok()) << request.status();
  const v1::ComputeLossResponse response = Compute(*request);
  if (HasFailure()) return;

  const onnx::Tensor& loss = onnx_case->outputs[0];
  if (request->reduction() == v1::REDUCTION_NONE) {
    EXPECT_FALSE(response.has_loss());
    ExpectClose(response.row_losses(), loss);
  } else {
    ASSERT_EQ(loss.dims_size(), 0);
    ASSERT_TRUE(response.has_loss());
    ExpectClose(response.loss(), FloatsOf(loss.raw_data()).at(0));
  }
  EXPECT_EQ(response.has_log_probabilities(), onnx_case->outputs.size() > 1);
  if (onnx_case->outputs.size() > 1) {
    ExpectClose(response.log_probabilities(), onnx_case->outputs[1]);
  }
  if (!HasFailure()) ++agreed;
}

INSTANTIATE_TEST_SUITE_P(
    , OnnxTest, testing::ValuesIn(kCases),
    [](const testing::TestParamInfo<const char*>& info) {
      return std::string(info.param).substr(std::strlen("test_"));
    });

TEST(OnnxDataTest, HasNoOtherCasesOfTheseOperators) {
  const std::string suffix = "_expanded";
  std::set<std::string> names;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator(OnnxFolder(), error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with("test_sce_") && !name.starts_with("test_nllloss_")) {
      continue;
    }
    if (!name.ends_with(suffix)) names.insert(name);
  }
  EXPECT_FALSE(error) << OnnxFolder() << ": " << error.message()
                      << "; Debian's package libonnx-testdata has it";
  EXPECT_THAT(names, testing::UnorderedElementsAreArray(kCases));
}

// ONNX has each case twice: as its operator, and expanded into simpler ones.
// Both hold the same values, so lossd's answer to one is that to the other.
TEST(OnnxDataTest, HasTheSameValuesInTheExpandedCases) {
  for (const std::string name : kCases) {
    const absl::StatusOr<OnnxCase> onnx_case = ReadOnnxCase(name);
    ASSERT_TRUE(onnx_case.ok()) << onnx_case.status();
    std::vector<std::string> files;
    for (size_t i = 0; i < onnx_case->inputs.size(); ++i) {
      files.push_back("/test_data_set_0/input_" + std::to_string(i) + ".pb");
    }
    for (size_t i = 0; i < onnx_case->outputs.size(); ++i) {
      files.push_back("/test_data_set_0/output_" + std::to_string(i) + ".pb");
    }
    for (const std::string& file : files) {
      const std::string path = OnnxFolder() + "/" + name;
      const auto one = ReadOnnxFile(path + file);
      const auto other = ReadOnnxFile(path + "_expanded" + file);
      ASSERT_TRUE(one.ok() && other.ok()) << one.status() << other.status();
      EXPECT_TRUE(*one == *other) << path << file;
    }
  }
}

}  // namespace
}  // namespace lossd::conformance
