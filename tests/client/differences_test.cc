#include "client/lossctl/differences.h"

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/client/recorder.h"

namespace lossd::lossctl {
namespace {

using testing::FakeServer;
using testing::SetRaw;
using testing::Values;

TEST(SteepnessTest, IsOneForEveryLossWithItsDefaults) {
  for (const std::string& name : LossNames()) {
    EXPECT_EQ(SteepnessOf(*LossNamed(name)), 1.0) << name;
  }
}

TEST(SteepnessTest, GrowsWithWhatBendsALoss) {
  EXPECT_EQ(SteepnessOf(SoftmaxCrossEntropy{.logit_scale = -8}), 8.0);
  EXPECT_EQ(SteepnessOf(SoftmaxCrossEntropy{.logit_softcap = 0.25}), 4.0);
  EXPECT_EQ(
      SteepnessOf(SoftmaxCrossEntropy{.logit_scale = 8, .logit_softcap = 0.25}),
      32.0);
  EXPECT_EQ(SteepnessOf(KlDivergence{.temperature = 0.5}), 2.0);
  EXPECT_EQ(SteepnessOf(SoftmaxFocal{.gamma = 6}), 3.0);
  EXPECT_EQ(SteepnessOf(SigmoidFocal{.gamma = 6}), 3.0);
}

TEST(SteepnessTest, NeverShrinksBelowOne) {
  EXPECT_EQ(SteepnessOf(SoftmaxCrossEntropy{.logit_scale = 0.01}), 1.0);
  EXPECT_EQ(SteepnessOf(SoftmaxCrossEntropy{.logit_softcap = 50}), 1.0);
  EXPECT_EQ(SteepnessOf(KlDivergence{.temperature = 20}), 1.0);
  EXPECT_EQ(SteepnessOf(SoftmaxFocal{.gamma = 0}), 1.0);
}

// The service computes v (z_0 - t_0)^2 + v z_1 for each row of two.
TEST(CentralDifferencesTest, CarryEachRowsTargetsAndWeight) {
  FakeServer server([](auto&, const auto& request, auto& response) {
    const auto z = Values<double>(request.logits());
    const auto t = Values<double>(request.labels());
    const auto v = Values<double>(request.row_weights());
    std::vector<double> losses;
    for (size_t row = 0; row < v.size(); ++row) {
      const double difference = z[2 * row] - t[2 * row];
      losses.push_back(v[row] * (difference * difference + z[2 * row + 1]));
    }
    SetRaw(response.mutable_row_losses(), v1::DATA_TYPE_FLOAT64, losses);
    return grpc::Status::OK;
  });
  const std::vector<double> logits = {1, 2, -3, 4};
  const std::vector<double> targets = {0.5, 9, 1, 9};
  const std::vector<double> row_weights = {1, 10};
  const auto differences = CentralDifferences(
      *Client::Connect({.target = server.target()}),
      {.rows = 2,
       .classes = 2,
       .logits = logits,
       .targets = targets,
       .row_weights = row_weights},
      {.loss = SquaredError{}}, CallOptions(absl::Seconds(30)));
  ASSERT_TRUE(differences.ok()) << differences.status();
  const std::vector<double> want = {1, 1, -80, 10};
  ASSERT_EQ(differences->size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR((*differences)[i], want[i], 1e-7);
  }
}

}  // namespace
}  // namespace lossd::lossctl
