// Random damage to valid messages: always a clear status, never a dead server.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::Key;

constexpr int64_t kMaxGrowthBytes = int64_t{64} << 20;

// Damages messages, the same way in every run.
class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  std::string Mutate(std::string message) {
    for (int edits = 1 + Below(3); edits > 0; --edits) Edit(message);
    return message;
  }

 private:
  int Below(int bound) {
    return std::uniform_int_distribution<int>(0, bound - 1)(random_);
  }

  std::string RandomBytes(int most) {
    std::string bytes(1 + Below(most), '\0');
    for (char& byte : bytes) byte = static_cast<char>(Below(256));
    return bytes;
  }

  void Edit(std::string& message) {
    // Bytes that mean something: long varints, a NaN, lengths, sign bits.
    static const std::vector<std::string> kPieces = {
        std::string(9, '\xff') + '\x01',
        std::string(9, '\x80') + '\x01',
        std::string("\x00\x00\xc0\x7f", 4),
        std::string("\x00\x00\x80\x7f", 4),
        "\x7f",
        "\xff\xff\xff\xff\x07",
        std::string(20, '\x0a'),
        std::string(1, '\0')};
    if (message.empty()) message = RandomBytes(8);
    const size_t at = Below(static_cast<int>(message.size()));
    // Half of the edits leave the length as it is, and with it the frame.
    switch (Below(12)) {
      case 0:
      case 1:
      case 7:
        message[at] ^= static_cast<char>(1 << Below(8));
        break;
      case 8:
      case 9:
      case 10:
        message[at] = static_cast<char>(Below(256));
        break;
      case 2:
        message.erase(at, 1 + Below(8));
        break;
      case 3:
        message.insert(at, RandomBytes(8));
        break;
      case 4:
        message.insert(at, message.substr(at, 1 + Below(32)));
        break;
      case 5:
        message.resize(at);
        break;
      case 6:
        message.insert(at, kPieces[Below(static_cast<int>(kPieces.size()))]);
        break;
      default: {
        const auto& piece = kPieces[Below(static_cast<int>(kPieces.size()))];
        message.replace(at, piece.size(), piece);
      }
    }
  }

  std::mt19937_64 random_;
};

v1::Tensor FloatTensor(const std::vector<int64_t>& shape, int values) {
  v1::Tensor tensor;
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  for (int i = 0; i < values; ++i) {
    tensor.mutable_float_values()->add_values(0.5f + static_cast<float>(i));
  }
  return tensor;
}

// Logits [2, 3, 2], the classes in their middle, probabilities as labels and
// every option.
v1::ComputeLossRequest RequestWithOptions() {
  v1::ComputeLossRequest request;
  *request.mutable_logits() = FloatTensor({2, 3, 2}, 12);
  *request.mutable_labels() = FloatTensor({2, 3, 2}, 12);
  request.set_class_axis(1);
  auto& loss = *request.mutable_loss()->mutable_softmax_cross_entropy();
  *loss.mutable_class_weights() = FloatTensor({3}, 3);
  loss.set_label_smoothing(0.1);
  loss.set_z_loss(0.5);
  loss.set_logit_scale(2);
  *request.mutable_row_weights() = FloatTensor({2, 2}, 4);
  *request.mutable_upstream_gradient() = FloatTensor({4}, 4);
  request.add_outputs(v1::OUTPUT_GRADIENT);
  request.add_outputs(v1::OUTPUT_PROBABILITIES);
  request.add_outputs(v1::OUTPUT_LOG_PROBABILITIES);
  return request;
}

// Different corners of the contract, small enough that damage hits their frame.
std::vector<std::string> ValidRequests() {
  v1::ComputeLossRequest full = MakeRequest(3, 4);
  full.mutable_loss()->mutable_softmax_cross_entropy()->set_ignore_index(-100);
  full.set_divisor(7.0);
  full.set_class_axis(-1);
  full.add_outputs(v1::OUTPUT_LOSS);
  full.add_outputs(v1::OUTPUT_GRADIENT);
  full.add_outputs(v1::OUTPUT_ROW_LOSSES);
  full.add_outputs(v1::OUTPUT_LOG_SUM_EXP);
  full.add_outputs(v1::OUTPUT_PREDICTIONS);
  full.set_gradient_data_type(v1::DATA_TYPE_FLOAT32);
  full.set_non_finite_policy(v1::NON_FINITE_POLICY_PROPAGATE);
  v1::ComputeLossRequest hinge = MakeRequest(2, 3);
  hinge.mutable_loss()->mutable_multiclass_hinge()->set_power(2);
  v1::ComputeLossRequest sigmoid = MakeRequest(2, 3);
  sigmoid.mutable_loss()->mutable_sigmoid_cross_entropy();
  *sigmoid.mutable_labels() = sigmoid.logits();
  sigmoid.mutable_labels()->set_raw(std::string(6 * sizeof(float), 0));
  return {MakeRequest(2, 3).SerializeAsString(),
          full.SerializeAsString(),
          hinge.SerializeAsString(),
          sigmoid.SerializeAsString(),
          MakeValuesRequest(3, 2).SerializeAsString(),
          RequestWithOptions().SerializeAsString()};
}

class MutationTest : public testing::Test {
 protected:
  // Sends `count` mutations of `messages` to `path`; returns how often each
  // status code came back.
  std::map<grpc::StatusCode, int> Send(const std::string& path,
                                       const std::vector<std::string>& messages,
                                       int count) {
    Mutator mutator(20240611);
    std::map<grpc::StatusCode, int> codes;
    int sent = 0;
    for (int i = 0; i < count && !HasFailure(); ++i) {
      const std::string message = mutator.Mutate(messages[i % messages.size()]);
      const WireResult result = CallRaw(channel_, path, message);
      SCOPED_TRACE(testing::PrintToString(message));
      EXPECT_THAT(result, IsClear());
      EXPECT_THAT(result.status.error_code(),
                  AnyOf(grpc::OK, grpc::INVALID_ARGUMENT, grpc::UNIMPLEMENTED));
      ++codes[result.status.error_code()];
      ++sent;
    }
    EXPECT_EQ(sent, count);
    return codes;
  }

  void TearDown() override {
    EXPECT_TRUE(ComputeLoss(channel_, MakeRequest(32, 27)).status.ok());
    EXPECT_LT(lossd_.ResidentBytes() - resident_bytes_, kMaxGrowthBytes);
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0", "--threads", "2"}};
  std::shared_ptr<grpc::Channel> channel_ = Connect(lossd_.WaitForAddress());
  const bool warm_ = ComputeLoss(channel_, MakeRequest(32, 27)).status.ok();
  const int64_t resident_bytes_ = lossd_.ResidentBytes();
};

TEST_F(MutationTest, StartsFromRequestsThatAreTaken) {
  for (const std::string& message : ValidRequests()) {
    EXPECT_TRUE(CallRaw(channel_, kComputeLossPath, message).status.ok());
  }
}

TEST_F(MutationTest, EveryDamagedComputeLossEndsInAClearStatus) {
  const auto codes = Send(kComputeLossPath, ValidRequests(), 3000);
  // The damage is neither so small that nothing breaks nor so large that
  // nothing gets through.
  EXPECT_THAT(codes, Contains(Key(grpc::OK)));
  EXPECT_THAT(codes, Contains(Key(grpc::INVALID_ARGUMENT)));
}

TEST_F(MutationTest, EveryDamagedHessianRequestEndsInAClearStatus) {
  v1::ComputeHessianVectorProductRequest request;
  *request.mutable_base() = MakeRequest(2, 3);
  *request.mutable_vector() = request.base().logits();
  const auto codes = Send("/lossd.v1.LossService/ComputeHessianVectorProduct",
                          {request.SerializeAsString()}, 1000);
  EXPECT_THAT(codes, Contains(Key(grpc::OK)));
  EXPECT_THAT(codes, Contains(Key(grpc::INVALID_ARGUMENT)));
}

TEST_F(MutationTest, EveryDamagedStreamHeaderEndsInAClearStatus) {
  v1::StreamLossRequest request;
  *request.mutable_header() = MakeRequest(2, 3);
  request.mutable_header()->mutable_logits()->clear_contents();
  const auto codes = Send("/lossd.v1.LossService/StreamLoss",
                          {request.SerializeAsString()}, 500);
  EXPECT_THAT(codes, Contains(Key(grpc::INVALID_ARGUMENT)));
}

// Fields that nobody knows are no damage: only broken ones are refused.
TEST_F(MutationTest, EveryDamagedInfoRequestEndsInAClearStatus) {
  const auto codes = Send("/lossd.v1.LossService/GetServerInfo",
                          {std::string("\xc2\x3e\x05hello", 8)}, 500);
  EXPECT_THAT(codes, Contains(Key(grpc::OK)));
  EXPECT_THAT(codes, Contains(Key(grpc::INVALID_ARGUMENT)));
}

}  // namespace
}  // namespace lossd
