// Hessian-vector products through a server: values, errors, and central
// differences of the gradients that the same server gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

using Doubles = std::vector<double>;

class ServerHessianTest : public testing::Test {
 protected:
  grpc::Status Call(const v1::ComputeHessianVectorProductRequest& request,
                    v1::Tensor* product = nullptr) {
    grpc::ClientContext context;
    v1::ComputeHessianVectorProductResponse response;
    const grpc::Status status = server_.stub().ComputeHessianVectorProduct(
        &context, request, &response);
    if (product != nullptr) *product = response.product();
    return status;
  }
  v1::Tensor Product(const v1::ComputeLossRequest& base,
                     const v1::Tensor& vector) {
    v1::ComputeHessianVectorProductRequest request;
    *request.mutable_base() = base;
    *request.mutable_vector() = vector;
    v1::Tensor product;
    const grpc::Status status = Call(request, &product);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return product;
  }

  TestServer server_;
};

v1::Tensor Tensor64(const std::vector<int64_t>& shape, const Doubles& values) {
  return FloatTensor(v1::DATA_TYPE_FLOAT64, shape, values);
}

// p = (1/2, 1/2): H = (1/4) ((1, -1), (-1, 1)), over the mean's 2 rows.
TEST_F(ServerHessianTest, IsThatOfTwoEqualLogits) {
  for (const v1::DataType type : kFloatTypes) {
    v1::ComputeLossRequest base = ZerosRequest(2, 2);
    *base.mutable_logits() = FloatTensor(type, {2, 2}, {3, 3, -1, -1});
    const v1::Tensor want =
        FloatTensor(type, {2, 2}, {0.5, -0.5, -0.125, 0.125});
    const v1::Tensor got =
        Product(base, FloatTensor(type, {2, 2}, {5, 1, 0, 1}));
    EXPECT_EQ(got.SerializeAsString(), want.SerializeAsString());
  }
}

TEST_F(ServerHessianTest, OfEqualComponentsIsZero) {
  EXPECT_THAT(ValuesOf<float>(Product(
                  RequestWith(),
                  FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 3}, Doubles(6, 0.1)))),
              Each(0.0f));
}

// Every loss that the server lists, but the one without second order.
TEST_F(ServerHessianTest, IsTheGradientsDerivative) {
  const auto info = server_.GetServerInfo();
  int checked = 0;
  for (const std::string& loss : info.losses()) {
    if (loss == "multiclass_hinge") continue;
    SCOPED_TRACE(loss);
    v1::ComputeLossRequest base = RequestWith("loss { " + loss + " {} }");
    std::mt19937_64 random(7);
    std::normal_distribution<double> normal;
    Doubles logits, vector, targets;
    for (int i = 0; i < 6; ++i) {
      logits.push_back(normal(random));
      vector.push_back(normal(random));
      targets.push_back(i % 3 / 2.0);
    }
    const bool has_targets = server_.StatusOf(base).error_code() ==
                             grpc::StatusCode::INVALID_ARGUMENT;
    if (has_targets) *base.mutable_labels() = Tensor64({2, 3}, targets);
    const auto gradient = [&](double step) {
      Doubles at = logits;
      for (int i = 0; i < 6; ++i) at[i] += step * vector[i];
      *base.mutable_logits() = Tensor64({2, 3}, at);
      return ValuesOf<double>(server_.ComputeLoss(base).gradient());
    };
    constexpr double kStep = 0x1p-17;
    const Doubles up = gradient(kStep), down = gradient(-kStep);
    *base.mutable_logits() = Tensor64({2, 3}, logits);
    const auto product =
        ValuesOf<double>(Product(base, Tensor64({2, 3}, vector)));
    ASSERT_EQ(product.size(), 6u);
    for (int i = 0; i < 6; ++i) {
      EXPECT_NEAR(product[i], (up[i] - down[i]) / (2 * kStep), 1e-9);
    }
    ++checked;
  }
  EXPECT_GE(checked, 6);
}

TEST_F(ServerHessianTest, TakesZeroRows) {
  v1::ComputeLossRequest base = ZerosRequest(0, 3);
  const v1::Tensor product = Product(base, base.logits());
  EXPECT_EQ(ShapeOf(product), (std::vector<int64_t>{0, 3}));
  EXPECT_TRUE(product.raw().empty());
}

TEST_F(ServerHessianTest, ErrorsNameTheirField) {
  v1::ComputeHessianVectorProductRequest request;
  *request.mutable_base() = RequestWith();
  *request.mutable_vector() =
      FloatTensor(v1::DATA_TYPE_FLOAT32, {2, 3}, {1, 2, NAN, 4, 5, 6});
  grpc::Status status = Call(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "vector[0, 2] = nan, want a finite number (row 0, class 2)");
  EXPECT_EQ(FieldOf(status), "vector");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "NON_FINITE_VECTOR");

  request.mutable_base()->set_non_finite_policy(
      v1::NON_FINITE_POLICY_PROPAGATE);
  v1::Tensor product;
  EXPECT_TRUE(Call(request, &product).ok());
  const auto values = ValuesOf<float>(product);
  for (int i = 0; i < 6; ++i) EXPECT_EQ(std::isnan(values[i]), i < 3);

  *request.mutable_vector() = request.base().logits();
  request.mutable_base()->mutable_labels()->mutable_int64_values()->set_values(
      1, 3);
  status = Call(request);
  EXPECT_EQ(status.error_message(), "base.labels[1] = 3, want [0, 3)");
  EXPECT_EQ(FieldOf(status), "base.labels");

  *request.mutable_base() = RequestWith("loss { multiclass_hinge {} }");
  status = Call(request);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("multiclass_hinge"));
}

}  // namespace
}  // namespace lossd::rpc
