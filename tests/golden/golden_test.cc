// The golden vectors of tests/data, answered by a started lossd.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/wire.h"
#include "tests/golden/golden_request.h"
#include "tests/support/exact_real.h"

namespace lossd::golden {
namespace {

using testing::ErrorInUlpsOfType;
using testing::RelativeError;
using testing::RoundToType;

// Written down, not looked up: a file that is missing fails.
constexpr const char* kLosses[] = {
    "softmax_cross_entropy", "sigmoid_cross_entropy", "negative_log_likelihood",
    "kl_divergence",         "softmax_focal",         "sigmoid_focal",
    "multiclass_hinge",      "squared_error",         "huber"};

constexpr char kProductPath[] =
    "/lossd.v1.LossService/ComputeHessianVectorProduct";

// What docs/numerics.md promises.
constexpr double kLossError = 0x1p-40;
bool IsCorrectlyRounded(const std::string& loss, const json& golden) {
  return loss == "softmax_cross_entropy" && golden["data_type"] != "float64" &&
         !golden["options"].contains("logit_softcap");
}

struct Count {
  int agreed = 0;
  int all = 0;
};

class GoldenTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() {
    server = std::make_unique<LossdProcess>(
        LossdProcess::Strings{"--listen", "127.0.0.1:0"});
    channel = Connect(server->WaitForAddress());
  }

  static void TearDownTestSuite() {
    for (const auto& [type, worst] : worst_ulps) {
      std::printf("worst %s error %.4f ulp\n", type.c_str(), worst);
    }
    std::printf("%d of %d %s\n", count.agreed, count.all, what);
    worst_ulps.clear();
    count = {};
    channel.reset();
    server.reset();
  }

  // The response to `request`, blank where the call fails.
  template <typename Response, typename Request>
  static Response Call(const char* path, const Request& request) {
    const WireResult result =
        CallRaw(channel, path, request.SerializeAsString());
    EXPECT_TRUE(result.status.ok()) << result.status.error_message();
    Response response;
    EXPECT_TRUE(response.ParseFromString(result.response));
    return response;
  }

  // Expects `tensor` to be what the case says of `name`.
  static void ExpectTensor(const std::string& loss, const json& golden,
                           const std::string& name, const v1::Tensor& tensor,
                           bool is_correctly_rounded) {
    const compute::ElementType type = TypeOf(golden);
    const Reals want = ExpectedOf(golden, name);
    const std::vector<double> got = ElementsOf(golden, tensor, want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      const double ulps = ErrorInUlpsOfType(type, got[i], want[i]);
      double& worst = worst_ulps[golden["data_type"]];
      worst = std::max(worst, ulps);
      EXPECT_LE(ulps, 1.0) << loss << ": " << name << " element " << i << " is "
                           << got[i] << ", want " << RoundToType(type, want[i]);
      if (!is_correctly_rounded) continue;
      const double rounded = RoundToType(type, want[i]);
      EXPECT_TRUE(got[i] == rounded)
          << loss << ": " << name << " element " << i << " is " << got[i]
          << ", correctly rounded it is " << rounded;
    }
  }

  static void ExpectLosses(const std::string& loss, const json& golden) {
    const auto response = Call<v1::ComputeLossResponse>(
        kComputeLossPath, RequestOf(loss, golden));
    if (HasFailure()) return;
    const json& expected = golden["expected"];
    const bool rounded = IsCorrectlyRounded(loss, golden);
    ExpectTensor(loss, golden, "row_losses", response.row_losses(), rounded);
    ExpectTensor(loss, golden, "gradient", response.gradient(), rounded);
    if (expected.contains("log_sum_exp")) {
      ExpectTensor(loss, golden, "log_sum_exp", response.log_sum_exp(),
                   rounded);
    }
    EXPECT_EQ(response.divisor(), expected["divisor"].get<double>());
    EXPECT_EQ(response.has_loss(), expected.contains("loss"));
    if (!expected.contains("loss")) return;
    const ExactReal want = ExpectedOf(golden, "loss").at(0);
    EXPECT_LE(RelativeError(response.loss(), want), kLossError)
        << response.loss() << ", want " << expected["loss"];
  }

  static void ExpectProduct(const std::string& loss, const json& golden) {
    const auto response = Call<v1::ComputeHessianVectorProductResponse>(
        kProductPath, ProductRequestOf(loss, golden));
    if (HasFailure()) return;
    ExpectTensor(loss, golden, "product", response.product(), false);
  }

  // Runs `expect` for each case of the parameter's file that has `key`.
  template <typename Expect>
  static void ForEachCase(const std::string& key, const Expect& expect) {
    const std::string loss = GetParam();
    const json file = ReadGoldenFile(loss);
    EXPECT_EQ(file["loss"], loss);
    for (const json& golden : file["cases"]) {
      if (!golden.contains(key)) continue;
      const ::testing::TestResult& result =
          *::testing::UnitTest::GetInstance()->current_test_info()->result();
      SCOPED_TRACE(golden["name"]);
      const int failures = result.total_part_count();
      ++count.all;
      expect(loss, golden);
      if (result.total_part_count() == failures) ++count.agreed;
    }
  }

  static inline Count count;
  static inline const char* what = "golden cases";

 private:
  static inline std::map<std::string, double> worst_ulps;
  static inline std::unique_ptr<LossdProcess> server;
  static inline std::shared_ptr<grpc::Channel> channel;
};

TEST_P(GoldenTest, AnswersEveryCase) {
  ForEachCase("logits", ExpectLosses);
  EXPECT_GT(count.all, 0);
}

INSTANTIATE_TEST_SUITE_P(, GoldenTest, ::testing::ValuesIn(kLosses),
                         [](const auto& info) { return info.param; });

// Hinge has no second derivative.
class GoldenProductTest : public GoldenTest {};

TEST_P(GoldenProductTest, MultipliesEveryVector) {
  what = "golden Hessian-vector products";
  ForEachCase("vector", ExpectProduct);
  EXPECT_GT(count.all, 0);
}

INSTANTIATE_TEST_SUITE_P(, GoldenProductTest,
                         ::testing::Values("softmax_cross_entropy",
                                           "sigmoid_cross_entropy",
                                           "negative_log_likelihood",
                                           "kl_divergence", "softmax_focal",
                                           "sigmoid_focal", "squared_error",
                                           "huber"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace lossd::golden
