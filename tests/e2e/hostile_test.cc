// Requests made to hurt, and what is said to each.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/e2e/lossd_process.h"
#include "tests/e2e/requests.h"
#include "tests/e2e/wire.h"

namespace lossd {
namespace {

using v1::ComputeLossRequest;

constexpr int64_t kHuge = int64_t{1} << 62;

void SetShape(std::initializer_list<int64_t> shape, v1::Tensor& tensor) {
  tensor.clear_shape();
  for (const int64_t length : shape) tensor.add_shape(length);
}

class HostileTest : public testing::Test {
 protected:
  WireResult Send(const ComputeLossRequest& request) {
    return ComputeLoss(channel_, request);
  }
  WireResult SendBytes(const std::string& bytes) {
    return CallRaw(channel_, kComputeLossPath, bytes);
  }

  // Answers as ever, and has not grown by what was asked for.
  void TearDown() override {
    EXPECT_TRUE(Send(MakeRequest(2, 3)).status.ok());
    EXPECT_LT(lossd_.ResidentBytes() - resident_bytes_, int64_t{64} << 20);
  }

  LossdProcess lossd_{{"--listen", "127.0.0.1:0"}};
  std::shared_ptr<grpc::Channel> channel_ = Connect(lossd_.WaitForAddress());
  const int64_t resident_bytes_ = lossd_.ResidentBytes();
  ComputeLossRequest request_ = MakeRequest(2, 3);
  v1::Tensor& logits_ = *request_.mutable_logits();
  v1::Tensor& labels_ = *request_.mutable_labels();
};

TEST_F(HostileTest, ShapeWhoseProductOverflows) {
  SetShape({kHuge, 4}, logits_);
  EXPECT_THAT(Send(request_), Blames("logits.shape", "2^63"));
  SetShape({int64_t{1} << 32, int64_t{1} << 32}, logits_);
  EXPECT_THAT(Send(request_), Blames("logits.shape", "2^63"));
}

TEST_F(HostileTest, ShapeWhoseBytesAreNotThere) {
  SetShape({int64_t{1} << 40, 3}, logits_);
  EXPECT_THAT(Send(request_), Blames("logits.raw", "24 bytes, want 13194139"));
}

TEST_F(HostileTest, ShapeThatIsNegativeTwice) {
  SetShape({-2, -3}, logits_);
  EXPECT_THAT(Send(request_), Blames("logits.shape[0]", "-2, want >= 0"));
}

TEST_F(HostileTest, SmallestIntegerAsALength) {
  SetShape({2, std::numeric_limits<int64_t>::min()}, logits_);
  EXPECT_THAT(Send(request_),
              Blames("logits.shape[1]", "-9223372036854775808"));
}

TEST_F(HostileTest, NoRowsOfHugeLength) {
  SetShape({0, kHuge}, logits_);
  logits_.set_raw("");
  SetShape({0}, labels_);
  labels_.set_raw("");
  EXPECT_TRUE(Send(request_).status.ok());
}

TEST_F(HostileTest, HugeNumberOfRowsWithoutClasses) {
  SetShape({kHuge, 0}, logits_);
  logits_.set_raw("");
  EXPECT_THAT(Send(request_), Blames("logits.shape[1]", "0, want >= 1"));
}

TEST_F(HostileTest, HugeRank) {
  for (int i = 0; i < 100'000; ++i) logits_.add_shape(1);
  EXPECT_THAT(Send(request_), IsClear());
  logits_.add_shape(0);
  EXPECT_THAT(Send(request_), Blames("logits.raw", "24 bytes, want 0"));
  logits_.set_raw("");
  EXPECT_THAT(Send(request_), Blames("logits.shape[100002]", "0, want >= 1"));
}

TEST_F(HostileTest, NoRank) {
  SetShape({}, logits_);
  logits_.set_raw("abcd");
  EXPECT_THAT(Send(request_), Blames("logits.shape", "rank >= 1"));
}

TEST_F(HostileTest, LabelsMissing) {
  request_.clear_labels();
  EXPECT_THAT(Send(request_), Blames("labels", "missing"));
}

TEST_F(HostileTest, LogitsMissing) {
  request_.clear_logits();
  EXPECT_THAT(Send(request_), Blames("logits", "missing"));
  EXPECT_THAT(SendBytes(""), Blames("logits", "missing"));
}

TEST_F(HostileTest, TensorsWithoutContents) {
  logits_.clear_contents();
  EXPECT_THAT(Send(request_), Blames("logits", "missing"));
}

TEST_F(HostileTest, RawBytesThatAreOneShort) {
  logits_.mutable_raw()->pop_back();
  EXPECT_THAT(Send(request_), Blames("logits.raw", "23 bytes, want 24"));
}

TEST_F(HostileTest, RawAndValuesTogether) {
  // The last of a oneof counts, by the rules of protobuf.
  ComputeLossRequest values;
  values.mutable_logits()->mutable_float_values()->add_values(1);
  const WireResult result =
      SendBytes(request_.SerializeAsString() + values.SerializeAsString());
  EXPECT_THAT(result, Blames("logits.float_values", "1 values, want 6"));
}

TEST_F(HostileTest, ValuesOfAnotherTypeThanSaid) {
  logits_.set_data_type(v1::DATA_TYPE_INT32);
  EXPECT_THAT(Send(request_), Blames("logits.data_type", "INT32"));
  logits_.set_data_type(static_cast<v1::DataType>(99));
  EXPECT_THAT(Send(request_), Blames("logits.data_type", "99"));
}

TEST_F(HostileTest, LabelsJustOutOfRange) {
  const int64_t values[] = {0, 3};
  labels_.set_raw(values, sizeof(values));
  EXPECT_THAT(Send(request_),
              IsRefusal(grpc::INVALID_ARGUMENT, "labels[1] = 3, want [0, 3)"));
  const int64_t least[] = {std::numeric_limits<int64_t>::min(), 0};
  labels_.set_raw(least, sizeof(least));
  EXPECT_THAT(Send(request_),
              IsRefusal(grpc::INVALID_ARGUMENT,
                        "labels[0] = -9223372036854775808, want [0, 3)"));
}

TEST_F(HostileTest, ClassAxisOutOfRank) {
  for (const int32_t axis : {2, -3, std::numeric_limits<int32_t>::max(),
                             std::numeric_limits<int32_t>::min()}) {
    request_.set_class_axis(axis);
    EXPECT_THAT(Send(request_), Blames("class_axis", std::to_string(axis)));
  }
}

// The axes around the classes multiply to more than an int64 holds.
TEST_F(HostileTest, NoRowsOfHugeAxesAroundTheClasses) {
  SetShape({kHuge, kHuge, 3, 0}, logits_);
  logits_.set_raw("");
  SetShape({kHuge, kHuge, 0}, labels_);
  labels_.set_raw("");
  request_.set_class_axis(2);
  EXPECT_TRUE(Send(request_).status.ok());
  request_.set_class_axis(-2);
  EXPECT_TRUE(Send(request_).status.ok());
}

TEST_F(HostileTest, HugeRankWithTheClassesFirst) {
  SetShape({2, 3}, logits_);
  SetShape({3}, labels_);
  const int64_t labels[] = {0, 1, 0};
  labels_.set_raw(labels, sizeof(labels));
  for (int i = 0; i < 100'000; ++i) {
    logits_.add_shape(1);
    labels_.add_shape(1);
  }
  request_.set_class_axis(0);
  EXPECT_TRUE(Send(request_).status.ok());
}

TEST_F(HostileTest, FactorsThatAreNoNumbers) {
  const float values[] = {1, std::numeric_limits<float>::quiet_NaN()};
  v1::Tensor factors;
  factors.set_data_type(v1::DATA_TYPE_FLOAT32);
  factors.add_shape(2);
  factors.set_raw(values, sizeof(values));
  *request_.mutable_row_weights() = factors;
  EXPECT_THAT(Send(request_), Blames("row_weights[1]", "nan, want 0 or"));
  request_.clear_row_weights();
  *request_.mutable_upstream_gradient() = factors;
  EXPECT_THAT(Send(request_), Blames("upstream_gradient[1]", "nan, want 0 or"));
}

TEST_F(HostileTest, ProbabilitiesThatAreNoNumbers) {
  labels_ = logits_;
  EXPECT_THAT(Send(request_),
              IsRefusal(grpc::INVALID_ARGUMENT, "want [0, 2^100]"));
  labels_.mutable_raw()->pop_back();
  EXPECT_THAT(Send(request_), Blames("labels.raw", "23 bytes, want 24"));
}

TEST_F(HostileTest, DivisorsThatAreNoDivisors) {
  for (const double divisor :
       {0.0, -1.0, std::numeric_limits<double>::infinity(),
        std::numeric_limits<double>::quiet_NaN()}) {
    request_.set_divisor(divisor);
    EXPECT_THAT(Send(request_), Blames("divisor", "want [1e-100, 1e+100]"));
  }
}

TEST_F(HostileTest, LogitsThatAreNoNumbers) {
  logits_.mutable_raw()->replace(4, 4, std::string("\x00\x00\xc0\x7f", 4));
  EXPECT_THAT(Send(request_), IsRefusal(grpc::INVALID_ARGUMENT, "logits[0"));
}

TEST_F(HostileTest, EnumsThatNobodyKnows) {
  request_.set_reduction(static_cast<v1::Reduction>(-1));
  EXPECT_THAT(Send(request_), Blames("reduction", "-1"));
  request_.clear_reduction();
  request_.add_outputs(static_cast<v1::Output>(1000));
  EXPECT_THAT(Send(request_), Blames("outputs[0]", "1000"));
}

TEST_F(HostileTest, OneOutputAMillionTimes) {
  for (int i = 0; i < 1'000'000; ++i) request_.add_outputs(v1::OUTPUT_LOSS);
  EXPECT_TRUE(Send(request_).status.ok());
}

TEST_F(HostileTest, NestingDeeperThanAnyStack) {
  // A group within a group, a million times, as an unknown field.
  EXPECT_THAT(SendBytes(std::string(1'000'000, '\x7b')),
              IsRefusal(grpc::INVALID_ARGUMENT, "no valid"));
  // Lengths within lengths: LossSpec in a request, its loss in it, and so on.
  std::string nested;
  for (int i = 0; i < 10'000; ++i) {
    std::string length;
    for (size_t n = nested.size();; n >>= 7) {
      length += static_cast<char>((n & 0x7f) | (n > 0x7f ? 0x80 : 0));
      if (n <= 0x7f) break;
    }
    nested.insert(0, "\x0a" + length);
  }
  EXPECT_THAT(SendBytes(nested), IsClear());
}

TEST_F(HostileTest, LengthThatReachesBeyondTheMessage) {
  EXPECT_THAT(SendBytes("\x7a\xff\xff\xff\xff\x07"),
              IsRefusal(grpc::INVALID_ARGUMENT, "no valid"));
}

TEST_F(HostileTest, NamesOfMethodsThatAreNotThere) {
  for (const char* path :
       {"/lossd.v1.LossService/Nothing", "/lossd.v1.LossService/",
        "/lossd.v2.LossService/ComputeLoss", "/"}) {
    EXPECT_EQ(CallRaw(channel_, path, "").status.error_code(),
              grpc::UNIMPLEMENTED)
        << path;
  }
}

}  // namespace
}  // namespace lossd
