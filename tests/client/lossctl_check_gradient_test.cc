// lossctl check-gradient against servers that compute, right or wrong.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/process.h"
#include "tests/client/recorder.h"

namespace lossd::lossctl {
namespace {

using testing::FakeServer;
using ::testing::HasSubstr;
using testing::ProcessResult;
using testing::SetRaw;
using testing::Values;

using Arguments = std::vector<std::string>;

// What a server that is wrong multiplies by.
struct Mistakes {
  double gradient = 1.0;
  double upstream = 1.0;
  double denominator = 1.0;
};

double FactorOf(const v1::Tensor& tensor, size_t row) {
  const auto factors = Values<double>(tensor);
  if (factors.empty()) return 1.0;
  return factors[factors.size() == 1 ? 0 : row];
}

// Weighted negative log-likelihood, -w_y z_y, or without class indices half the
// squared error, (z - t)^2 / 2.
grpc::Status Compute(const v1::ComputeLossRequest& request,
                     const Mistakes& mistakes,
                     v1::ComputeLossResponse& response) {
  const auto logits = Values<double>(request.logits());
  const size_t rows = request.logits().shape(0);
  const size_t classes = request.logits().shape(1);
  const bool indices = request.labels().data_type() == v1::DATA_TYPE_INT64;
  const auto labels = Values<int64_t>(request.labels());
  const auto targets = Values<double>(request.labels());
  const auto class_weights =
      Values<double>(request.loss().negative_log_likelihood().class_weights());
  std::vector<double> losses(rows), gradient(rows * classes);
  double denominator = 0.0;
  for (size_t row = 0; row < rows; ++row) {
    const double weight = FactorOf(request.row_weights(), row);
    const double class_weight =
        indices && !class_weights.empty() ? class_weights[labels[row]] : 1.0;
    denominator += weight * class_weight;
    for (size_t c = 0; c < classes; ++c) {
      const size_t i = row * classes + c;
      if (!indices) {
        const double difference = logits[i] - targets[i];
        losses[row] += weight * difference * difference / 2;
        gradient[i] = weight * difference;
      } else if (labels[row] == static_cast<int64_t>(c)) {
        losses[row] -= weight * class_weight * logits[i];
        gradient[i] = -weight * class_weight;
      }
      gradient[i] *= mistakes.gradient;
      if (request.has_upstream_gradient()) {
        gradient[i] *=
            FactorOf(request.upstream_gradient(), row) * mistakes.upstream;
      }
    }
  }
  denominator *= mistakes.denominator;
  if (request.has_divisor()) denominator = request.divisor();
  if (request.reduction() == v1::REDUCTION_MEAN) {
    for (double& g : gradient) g /= denominator;
  }
  SetRaw(response.mutable_row_losses(), v1::DATA_TYPE_FLOAT64, losses);
  SetRaw(response.mutable_gradient(), v1::DATA_TYPE_FLOAT64, gradient);
  return grpc::Status::OK;
}

ProcessResult Check(const Arguments& more, const Mistakes& mistakes = {}) {
  FakeServer server([&](auto&, const auto& request, auto& response) {
    return Compute(request, mistakes, response);
  });
  Arguments arguments = {LOSSCTL_BINARY, "check-gradient",
                         "--target",     server.target(),
                         "--rows",       "3",
                         "--classes",    "4"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return testing::RunProcess(arguments);
}

const Arguments kWeighted = {"--loss", "negative_log_likelihood",
                             "--class-weights", "1,2,0.5,4"};

Arguments With(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

TEST(LossctlCheckGradientTest, PassesARightServerWithEveryFactor) {
  for (const Arguments& loss : std::vector<Arguments>{
           kWeighted, {"--loss", "squared_error"}, {"--float-targets"}}) {
    for (const Arguments& more : std::vector<Arguments>{
             {},
             {"--row-weights", "1,0,3"},
             {"--upstream-gradient", "-1,2,0.5"},
             {"--upstream-gradient", "5", "--row-weights", "1,2,3"},
             {"--divisor", "7", "--row-weights", "1,2,3"},
             {"--reduction", "sum", "--row-weights", "1,2,3"},
             {"--reduction", "none", "--upstream-gradient", "1,2,3"}}) {
      const ProcessResult result = Check(With(loss, more));
      EXPECT_EQ(result.exit_code, 0)
          << ::testing::PrintToString(With(loss, more)) << result.out
          << result.err;
      EXPECT_THAT(result.out, HasSubstr("PASS"));
    }
  }
}

TEST(LossctlCheckGradientTest, FailsAServerThatIsWrongByAMillionth) {
  constexpr double kWrong = 1.000001;
  const Arguments with_upstream =
      With(kWeighted, {"--upstream-gradient", "-1,2,0.5"});
  for (const Mistakes& mistakes :
       {Mistakes{.gradient = kWrong}, Mistakes{.upstream = kWrong},
        Mistakes{.denominator = kWrong}}) {
    const ProcessResult result = Check(with_upstream, mistakes);
    EXPECT_EQ(result.exit_code, 1) << result.out;
    EXPECT_THAT(result.out, HasSubstr("FAIL"));
  }
  EXPECT_EQ(Check({"--loss", "squared_error"}, {.gradient = kWrong}).exit_code,
            1);
}

TEST(LossctlCheckGradientTest, NamesTheLossItChecked) {
  const ProcessResult text = Check({"--loss", "huber"});
  EXPECT_THAT(text.out, HasSubstr("loss                  huber\n"));
  const ProcessResult json = Check({"--loss", "huber", "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.out)["loss"], "huber");
}

TEST(LossctlCheckGradientTest, RefusesFloatTargetsForALossOverClassIndices) {
  const ProcessResult result =
      Check({"--loss", "softmax_focal", "--float-targets"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_EQ(result.err,
            "lossctl: --float-targets: softmax_focal takes class indices\n");
}

TEST(LossctlCheckGradientTest, RefusesASeedBelowZero) {
  const ProcessResult result = Check({"--seed", "-1"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--seed"));
  EXPECT_THAT(result.err, HasSubstr("-1"));
}

TEST(LossctlCheckGradientTest, RefusesAnOptionOfAnotherLoss) {
  const ProcessResult result = Check({"--temperature", "2"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("--temperature is an option of "
                                    "kl_divergence, not of softmax_"));
}

}  // namespace
}  // namespace lossd::lossctl
