// What the service answers where a request has options, against the formula of
// docs/numerics.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pointwise;

constexpr double kTolerance = 1e-14;

constexpr int kClasses = 3;
// Two rows of three logits, and what they are compared with.
const std::vector<double> kLogits = {2, 1, 0.1, 0, -1, 3};
const std::vector<int64_t> kLabels = {0, 1};
const std::vector<double> kOneHot = {1, 0, 0, 0, 1, 0};
const std::vector<double> kTargets = {0.5, 0.25, 0, 0.125, 1, 2};

// The options of a request in the formula's letters.
struct Formula {
  std::string text = {};  // the same as a request, beside the logits and labels
  std::vector<double> t = kOneHot;
  std::vector<double> w = {1, 1, 1};
  double eps = 0;
  double zeta = 0;
  double s = 1;
  double cap = 0;  // 0: none
  std::vector<double> v = {1, 1};
  std::vector<double> u = {1, 1};
  double divisor = 2;
};

struct Results {
  double loss = 0;
  std::vector<double> row_losses;
  std::vector<double> log_sum_exp;
  std::vector<double> probabilities;
  std::vector<double> gradient;
};

// The logit as the exponentials take it, and its derivative.
double Scaled(const Formula& f, double z) {
  return f.s * (f.cap == 0 ? z : f.cap * std::tanh(z / f.cap));
}
double Slope(const Formula& f, double z) {
  if (f.cap == 0) return f.s;
  const double t = std::tanh(z / f.cap);
  return f.s * (1 - t * t);
}

Results Compute(const Formula& f) {
  Results results;
  for (size_t row = 0; row < kLabels.size(); ++row) {
    double sum = 0;
    for (int i = 0; i < kClasses; ++i) {
      sum += std::exp(Scaled(f, kLogits[row * kClasses + i]));
    }
    const double lse = std::log(sum);
    double row_loss = f.zeta * lse * lse;
    double targets_sum = 0;
    std::vector<double> q(kClasses);
    for (int i = 0; i < kClasses; ++i) {
      const double t = f.t[row * kClasses + i];
      q[i] = f.w[i] * ((1 - f.eps) * t + f.eps / kClasses);
      targets_sum += q[i];
      row_loss += q[i] * (lse - Scaled(f, kLogits[row * kClasses + i]));
    }
    for (int i = 0; i < kClasses; ++i) {
      const double z = kLogits[row * kClasses + i];
      const double p = std::exp(Scaled(f, z) - lse);
      results.probabilities.push_back(p);
      results.gradient.push_back(Slope(f, z) * f.v[row] * f.u[row] / f.divisor *
                                 ((targets_sum + 2 * f.zeta * lse) * p - q[i]));
    }
    results.log_sum_exp.push_back(lse);
    results.row_losses.push_back(f.v[row] * row_loss);
    results.loss += results.row_losses.back() / f.divisor;
  }
  return results;
}

v1::ComputeLossRequest Request(const std::string& more) {
  v1::ComputeLossRequest request;
  *request.mutable_logits() =
      FloatTensor(v1::DATA_TYPE_FLOAT64, {2, kClasses}, kLogits);
  request.mutable_labels()->add_shape(2);
  for (const int64_t label : kLabels) {
    request.mutable_labels()->mutable_int64_values()->add_values(label);
  }
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(
      more + " outputs: [ OUTPUT_LOSS, OUTPUT_GRADIENT, OUTPUT_ROW_LOSSES,"
             "            OUTPUT_LOG_SUM_EXP, OUTPUT_PROBABILITIES ]",
      &request))
      << more;
  return request;
}

class ServerOptionsTest : public testing::Test {
 protected:
  void ExpectFormula(const v1::ComputeLossRequest& request, const Formula& f) {
    SCOPED_TRACE(f.text);
    const v1::ComputeLossResponse response = server_.ComputeLoss(request);
    const Results want = Compute(f);
    EXPECT_NEAR(response.loss(), want.loss, kTolerance);
    EXPECT_EQ(response.divisor(), f.divisor);
    EXPECT_EQ(response.row_count(), 2);
    ExpectNear(response.row_losses(), want.row_losses);
    ExpectNear(response.log_sum_exp(), want.log_sum_exp);
    ExpectNear(response.probabilities(), want.probabilities);
    ExpectNear(response.gradient(), want.gradient);
  }

  void ExpectInvalid(const std::string& more, const std::string& message,
                     const std::string& field) {
    const grpc::Status status = server_.StatusOf(Request(more));
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), message);
    EXPECT_EQ(FieldOf(status), field);
  }

  static void ExpectNear(const v1::Tensor& got,
                         const std::vector<double>& want) {
    EXPECT_THAT(ValuesOf<double>(got),
                Pointwise(testing::DoubleNear(kTolerance), want));
  }

  TestServer server_;
};

std::string Loss(const std::string& options) {
  return "loss { softmax_cross_entropy { " + options + " } }";
}

const std::string kClassWeights =
    "class_weights { shape: 3 float_values { values: [ 0.5, 2, 4 ] } }";
const std::string kRowWeights =
    "row_weights { shape: 2 float_values { values: [ 3, 0.25 ] } }";
const std::string kUpstream =
    "upstream_gradient { shape: 2 float_values { values: [ -1.5, 2 ] } }";

TEST_F(ServerOptionsTest, AnswerByTheFormulaForClassIndices) {
  for (const Formula& f : std::vector<Formula>{
           {.text = ""},
           {.text = Loss("label_smoothing: 0.3"), .eps = 0.3},
           {.text = Loss("label_smoothing: 1"), .eps = 1},
           {.text = Loss("z_loss: 0.25"), .zeta = 0.25},
           {.text = Loss("logit_scale: 0.5"), .s = 0.5},
           {.text = Loss("logit_softcap: 2"), .cap = 2},
           {.text = Loss("logit_softcap: 0.5 logit_scale: 3"),
           .s = 3,
           .cap = 0.5},
           {.text = Loss(kClassWeights), .w = {0.5, 2, 4}, .divisor = 2.5},
           {.text = kRowWeights, .v = {3, 0.25}, .divisor = 3.25},
           {.text = kUpstream, .u = {-1.5, 2}},
           {.text = "upstream_gradient { float_values { values: 3 } }",
           .u = {3, 3}},
           {.text = Loss(kClassWeights +
                         "label_smoothing: 0.1 z_loss: 0.01 logit_scale: 2") +
                    kRowWeights + kUpstream,
           .w = {0.5, 2, 4},
           .eps = 0.1,
           .zeta = 0.01,
           .s = 2,
           .v = {3, 0.25},
           .u = {-1.5, 2},
           .divisor = 2}}) {
    ExpectFormula(Request(f.text), f);
  }
}

TEST_F(ServerOptionsTest, AnswerByTheFormulaForProbabilities) {
  for (const Formula& f : std::vector<Formula>{
           {.text = "", .t = kTargets},
           {.text = Loss(kClassWeights +
                         "label_smoothing: 0.1 z_loss: 0.01 logit_scale: 2") +
                    kRowWeights + kUpstream,
           .t = kTargets,
           .w = {0.5, 2, 4},
           .eps = 0.1,
           .zeta = 0.01,
           .s = 2,
           .v = {3, 0.25},
           .u = {-1.5, 2},
           .divisor = 3.25}}) {
    for (const v1::DataType type : kFloatTypes) {
      v1::ComputeLossRequest request = Request(f.text);
      *request.mutable_labels() = FloatTensor(type, {2, kClasses}, kTargets);
      ExpectFormula(request, f);
      EXPECT_EQ(server_.ComputeLoss(request).correct_count(), 0);
    }
  }
}

TEST_F(ServerOptionsTest, AnswerAlikeForOneHotProbabilitiesAndIndices) {
  v1::ComputeLossRequest request = Request(kRowWeights);
  v1::ComputeLossResponse indices = server_.ComputeLoss(request);
  EXPECT_EQ(indices.correct_count(), 1);
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT16, {2, kClasses}, kOneHot);
  indices.clear_correct_count();
  EXPECT_EQ(server_.ComputeLoss(request).SerializeAsString(),
            indices.SerializeAsString());
}

// By hand: ln 3 for each row whatever its targets, and 0.5 (ln 3)^2 more.
TEST_F(ServerOptionsTest, AnswerLogOfClassCountForEqualLogits) {
  v1::ComputeLossRequest request =
      Request(Loss("label_smoothing: 0.7 z_loss: 0.5 logit_scale: 123"));
  *request.mutable_logits() = FloatTensor(v1::DATA_TYPE_FLOAT64, {2, kClasses},
                                          std::vector<double>(6, 0.0));
  const double ln3 = std::log(3.0);
  const v1::ComputeLossResponse response = server_.ComputeLoss(request);
  EXPECT_NEAR(response.loss(), ln3 + 0.5 * ln3 * ln3, kTolerance);
  EXPECT_THAT(ValuesOf<double>(response.probabilities()),
              Each(DoubleNear(1.0 / 3, 1e-16)));
}

TEST_F(ServerOptionsTest, LeaveOutRowsOfWeightZero) {
  const v1::ComputeLossResponse response = server_.ComputeLoss(
      Request("row_weights { shape: 2 float_values { values: [ 0, 1 ] } }"));
  const Results want = Compute({.v = {0, 1}, .divisor = 1});
  EXPECT_EQ(response.divisor(), 1);
  EXPECT_EQ(response.row_count(), 2);
  EXPECT_NEAR(response.loss(), want.row_losses[1], kTolerance);
  ExpectNear(response.gradient(), want.gradient);
}

TEST_F(ServerOptionsTest, GiveProbabilitiesOfIgnoredRowsToo) {
  const v1::ComputeLossResponse response =
      server_.ComputeLoss(Request(Loss("ignore_index: 1")));
  EXPECT_EQ(response.row_count(), 1);
  ExpectNear(response.probabilities(), Compute({}).probabilities);
}

TEST_F(ServerOptionsTest, GiveLogProbabilities) {
  v1::ComputeLossRequest request = Request(Loss("logit_scale: 2"));
  request.clear_outputs();
  request.add_outputs(v1::OUTPUT_LOG_PROBABILITIES);
  const v1::ComputeLossResponse response = server_.ComputeLoss(request);
  const std::vector<double> lse = Compute({.s = 2}).log_sum_exp;
  std::vector<double> want;
  for (size_t i = 0; i < kLogits.size(); ++i) {
    want.push_back(2 * kLogits[i] - lse[i / kClasses]);
  }
  EXPECT_EQ(response.log_probabilities().data_type(), v1::DATA_TYPE_FLOAT64);
  EXPECT_THAT(ShapeOf(response.log_probabilities()), ElementsAre(2, kClasses));
  ExpectNear(response.log_probabilities(), want);
  EXPECT_FALSE(response.has_loss() || response.has_gradient() ||
               response.has_probabilities());
}

TEST_F(ServerOptionsTest, GiveProbabilitiesInTheLogitsType) {
  for (const v1::DataType type : kFloatTypes) {
    v1::ComputeLossRequest request = Request("");
    *request.mutable_logits() = FloatTensor(type, {2, 2}, {0, 0, 0, -HUGE_VAL});
    request.set_gradient_data_type(v1::DATA_TYPE_FLOAT32);
    const v1::ComputeLossResponse response = server_.ComputeLoss(request);
    EXPECT_EQ(response.probabilities().SerializeAsString(),
              FloatTensor(type, {2, 2}, {0.5, 0.5, 1, 0}).SerializeAsString());
  }
}

TEST_F(ServerOptionsTest, NameTheFieldThatIsOutOfRange) {
  const std::string path = "loss.softmax_cross_entropy.";
  ExpectInvalid(Loss("label_smoothing: 1.5"),
                path + "label_smoothing = 1.5, want [0, 1]",
                path + "label_smoothing");
  ExpectInvalid(Loss("z_loss: -1"),
                path + "z_loss = -1, want 0 or [2^-100, 2^100]",
                path + "z_loss");
  ExpectInvalid(Loss("logit_scale: 0"),
                path + "logit_scale = 0, want [1e-06, 1e+06]",
                path + "logit_scale");
  ExpectInvalid(Loss("logit_softcap: 1e7"),
                path + "logit_softcap = 10000000, want [1e-06, 1e+06]",
                path + "logit_softcap");
  ExpectInvalid(
      Loss("class_weights { shape: 3 float_values { values: [1, 1, -2] } }"),
      path + "class_weights[2] = -2, want 0 or [2^-100, 2^100]",
      path + "class_weights[2]");
  ExpectInvalid("row_weights { shape: 2 float_values { values: [1, nan] } }",
                "row_weights[1] = nan, want 0 or [2^-100, 2^100]",
                "row_weights[1]");
  ExpectInvalid(
      "upstream_gradient { shape: 2 float_values { values: [inf, 1] } }",
      "upstream_gradient[0] = inf, want 0 or +-[2^-100, 2^100]",
      "upstream_gradient[0]");
}

TEST_F(ServerOptionsTest, NameTheProbabilityThatIsOutOfRange) {
  for (const auto& [value, text] :
       {std::pair{-0.5, "-0.5"}, std::pair<double, const char*>{NAN, "nan"},
        std::pair{HUGE_VAL, "inf"}}) {
    v1::ComputeLossRequest request = Request("");
    std::vector<double> targets = kTargets;
    targets[4] = value;
    *request.mutable_labels() =
        FloatTensor(v1::DATA_TYPE_FLOAT64, {2, kClasses}, targets);
    const grpc::Status status = server_.StatusOf(request);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), "labels[1, 1] = " + std::string(text) +
                                          ", want [0, 2^100] (row 1, class 1)");
    EXPECT_EQ(FieldOf(status), "labels");
  }
}

TEST_F(ServerOptionsTest, RejectAnIgnoreIndexForProbabilities) {
  v1::ComputeLossRequest request = Request(Loss("ignore_index: 0"));
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT64, {2, kClasses}, kTargets);
  const grpc::Status status = server_.StatusOf(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "loss.softmax_cross_entropy.ignore_index");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "IGNORE_INDEX_WITH_PROBABILITIES");
}

// A row's number counts all axes but that of the classes, in row-major order.
TEST_F(ServerOptionsTest, NameTheRowOfALogitWhoseClassesAreNotLast) {
  v1::ComputeLossRequest request;
  *request.mutable_logits() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 2, 3},
                  {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, HUGE_VAL, 0});
  *request.mutable_labels() = FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 2, 3},
                                          std::vector<double>(12, 0.5));
  request.set_class_axis(1);
  EXPECT_EQ(server_.StatusOf(request).error_message(),
            "logits[4, 1] = inf, want a finite number or -inf (row 4, class "
            "1)");
}

}  // namespace
}  // namespace lossd::rpc
