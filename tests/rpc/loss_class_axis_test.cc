// A class axis other than the last, against the same batch with the classes
// last: bit for bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "server/rpc/loss_service.h"
#include "tests/rpc/requests.h"

namespace lossd::rpc {
namespace {

using Lengths = std::vector<int64_t>;

int64_t Product(const Lengths& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         std::multiplies<>());
}

// `tensor` with `axis` moved behind all others, element by element.
v1::Tensor WithAxisLast(const v1::Tensor& tensor, int64_t axis) {
  const Lengths shape = ShapeOf(tensor);
  Lengths moved_shape = shape;
  moved_shape.erase(moved_shape.begin() + axis);
  moved_shape.push_back(shape[axis]);
  const int64_t bytes = ElementBytes(tensor.data_type());
  std::string moved(tensor.raw().size(), '\0');
  Lengths at(shape.size(), 0);
  for (int64_t from = 0; from < Product(shape); ++from) {
    int64_t to = 0;
    for (size_t i = 0; i < shape.size(); ++i) {
      if (static_cast<int64_t>(i) != axis) to = to * shape[i] + at[i];
    }
    to = to * shape[axis] + at[axis];
    moved.replace(to * bytes, bytes, tensor.raw(), from * bytes, bytes);
    for (size_t i = shape.size(); i-- > 0 && ++at[i] == shape[i];) at[i] = 0;
  }
  v1::Tensor result;
  result.set_data_type(tensor.data_type());
  result.mutable_shape()->Add(moved_shape.begin(), moved_shape.end());
  result.set_raw(moved);
  return result;
}

v1::Tensor RandomTensor(v1::DataType type, const Lengths& shape, double low,
                        double high) {
  std::mt19937_64 random(42);
  std::uniform_real_distribution<double> values(low, high);
  std::vector<double> drawn(Product(shape));
  for (double& value : drawn) value = values(random);
  return FloatTensor(type, shape, drawn);
}

// Every output, and options that tell rows and classes apart.
v1::ComputeLossRequest RequestOf(v1::DataType type, const Lengths& shape,
                                 int64_t axis, bool probabilities) {
  v1::ComputeLossRequest request;
  for (int output = v1::OUTPUT_LOSS; output <= v1::OUTPUT_PREDICTIONS;
       ++output) {
    request.add_outputs(static_cast<v1::Output>(output));
  }
  auto& loss = *request.mutable_loss()->mutable_softmax_cross_entropy();
  loss.set_label_smoothing(0.1);
  *loss.mutable_class_weights() =
      RandomTensor(v1::DATA_TYPE_FLOAT32, {shape[axis]}, 0.5, 2);
  *request.mutable_logits() = RandomTensor(type, shape, -8, 8);
  Lengths rows_shape = shape;
  rows_shape.erase(rows_shape.begin() + axis);
  *request.mutable_row_weights() =
      RandomTensor(v1::DATA_TYPE_FLOAT64, rows_shape, 0.5, 2);
  *request.mutable_upstream_gradient() =
      RandomTensor(v1::DATA_TYPE_BFLOAT16, rows_shape, -2, 2);
  if (probabilities) {
    *request.mutable_labels() =
        RandomTensor(v1::DATA_TYPE_FLOAT32, shape, 0, 1);
    return request;
  }
  v1::Tensor& labels = *request.mutable_labels();
  labels.mutable_shape()->Add(rows_shape.begin(), rows_shape.end());
  labels.mutable_int64_values();
  for (int64_t row = 0; row < Product(rows_shape); ++row) {
    labels.mutable_int64_values()->add_values(row * 7 % shape[axis]);
  }
  return request;
}

using Case = std::tuple<v1::DataType, Lengths, bool>;

class LossClassAxisTest : public testing::TestWithParam<Case> {
 protected:
  v1::ComputeLossResponse ComputeLoss(const v1::ComputeLossRequest& request) {
    auto response = service_.ComputeLoss(Received(request),
                                         [] { return absl::OkStatus(); });
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return Sent(*std::move(response));
  }

  v1::Tensor Product(const v1::ComputeLossRequest& base,
                     const v1::Tensor& vector) {
    v1::ComputeHessianVectorProductRequest request;
    *request.mutable_base() = base;
    *request.mutable_vector() = vector;
    auto product = service_.ComputeHessianVectorProduct(
        Received(request), [] { return absl::OkStatus(); });
    EXPECT_TRUE(product.ok()) << product.status();
    if (!product.ok()) return {};
    return Sent<v1::ComputeHessianVectorProductResponse>(
               wire::SerializeProduct(*std::move(product)))
        .product();
  }

  compute::ThreadPool pool_{2};
  const LossService service_{Options(), pool_};
};

TEST_P(LossClassAxisTest, GivesTheBitsOfTheLastAxis) {
  const auto& [type, shape, probabilities] = GetParam();
  const int64_t rank = static_cast<int64_t>(shape.size());
  for (int64_t axis = 0; axis < rank; ++axis) {
    if (shape[axis] == 0) continue;
    SCOPED_TRACE(axis);
    v1::ComputeLossRequest request =
        RequestOf(type, shape, axis, probabilities);
    v1::ComputeLossRequest last = request;
    *last.mutable_logits() = WithAxisLast(request.logits(), axis);
    if (probabilities) {
      *last.mutable_labels() = WithAxisLast(request.labels(), axis);
    }
    const v1::ComputeLossResponse want = ComputeLoss(last);
    const v1::Tensor vector = RandomTensor(type, shape, -1, 1);
    const v1::Tensor want_product = Product(last, WithAxisLast(vector, axis));
    for (const int64_t name : {axis, axis - rank}) {
      request.set_class_axis(static_cast<int32_t>(name));
      v1::ComputeLossResponse got = ComputeLoss(request);
      EXPECT_EQ(ShapeOf(got.gradient()), shape);
      EXPECT_EQ(ShapeOf(got.probabilities()), shape);
      EXPECT_EQ(ShapeOf(got.log_probabilities()), shape);
      *got.mutable_gradient() = WithAxisLast(got.gradient(), axis);
      *got.mutable_probabilities() = WithAxisLast(got.probabilities(), axis);
      *got.mutable_log_probabilities() =
          WithAxisLast(got.log_probabilities(), axis);
      // Rows keep their order, so all else is the same as it is.
      EXPECT_TRUE(got.SerializeAsString() == want.SerializeAsString());
      const v1::Tensor product = Product(request, vector);
      EXPECT_EQ(ShapeOf(product), shape);
      EXPECT_TRUE(WithAxisLast(product, axis).SerializeAsString() ==
                  want_product.SerializeAsString());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, LossClassAxisTest,
    testing::Combine(testing::ValuesIn(kFloatTypes),
                     testing::Values(Lengths{5, 7}, Lengths{70, 33},
                                     Lengths{3, 5, 7}, Lengths{2, 70, 3, 5},
                                     Lengths{2, 3, 2, 4, 5},
                                     Lengths{4, 3, 1, 1}, Lengths{0, 3},
                                     Lengths{2, 3, 0}, Lengths{0, 4, 0, 2}),
                     testing::Bool()));

}  // namespace
}  // namespace lossd::rpc
