// Messages by hand and by protobuf: the same are taken, with the same contents.
// tests/fuzz looks for counterexamples for as long as it is let.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "tests/rpc/requests.h"
#include "tests/support/wire_difference.h"

namespace lossd::rpc {
namespace {

using testing::DifferenceOf;
using testing::IsMessage;
using testing::WireMessage;

constexpr WireMessage kAll[] = {WireMessage::kLossRequest,
                                WireMessage::kHessianRequest,
                                WireMessage::kStreamRequest};

// A field of length-delimited contents.
std::string Field(int number, const std::string& contents) {
  std::string bytes(1, static_cast<char>(number << 3 | 2));
  EXPECT_LT(contents.size(), 128u);
  return bytes + static_cast<char>(contents.size()) + contents;
}

std::string Repeat(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

// Valid messages and their parts, which mutations start from.
std::vector<std::string> Seeds(WireMessage kind) {
  const std::vector<v1::ComputeLossRequest> requests = {
      RequestWith(), ZerosRequest(2, 3),
      RequestWith(
          "loss { softmax_cross_entropy { label_smoothing: 0.1 z_loss: 0.5 "
          "class_weights { shape: 3 float_values { values: [ 1, 2, 3 ] } } } } "
          "reduction: REDUCTION_SUM outputs: [ OUTPUT_LOSS, OUTPUT_GRADIENT ] "
          "row_weights { shape: 2 float_values { values: [ 1, 0.5 ] } } "
          "upstream_gradient { data_type: DATA_TYPE_FLOAT64 shape: 1 "
          "raw: '12345678' } class_axis: -1 gradient_data_type: 2"),
      v1::ComputeLossRequest()};
  std::vector<std::string> seeds;
  for (const v1::ComputeLossRequest& request : requests) {
    v1::ComputeHessianVectorProductRequest hessian;
    v1::StreamLossRequest stream;
    switch (kind) {
      case WireMessage::kLossRequest:
        seeds.push_back(request.SerializeAsString());
        break;
      case WireMessage::kHessianRequest:
        *hessian.mutable_base() = request;
        *hessian.mutable_vector() = request.logits();
        seeds.push_back(hessian.SerializeAsString());
        break;
      case WireMessage::kStreamRequest:
        *stream.mutable_header() = request;
        seeds.push_back(stream.SerializeAsString());
        stream.mutable_chunk()->set_raw(request.logits().raw());
        seeds.push_back(stream.SerializeAsString());
        break;
    }
  }
  return seeds;
}

class WireDifferenceTest : public ::testing::TestWithParam<WireMessage> {
 protected:
  void ExpectSame(const std::string& bytes) {
    for (const size_t piece_bytes : {1, 2, 3, 7, 1 << 20}) {
      ASSERT_EQ(DifferenceOf(GetParam(), bytes, piece_bytes), "")
          << ::testing::PrintToString(bytes) << " in pieces of " << piece_bytes;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Messages, WireDifferenceTest,
                         ::testing::ValuesIn(kAll));

TEST_P(WireDifferenceTest, IsNoneForValidMessages) {
  for (const std::string& seed : Seeds(GetParam())) {
    EXPECT_TRUE(IsMessage(GetParam(), seed));
    ExpectSame(seed);
  }
}

TEST_P(WireDifferenceTest, IsNoneForEveryPrefix) {
  for (const std::string& seed : Seeds(GetParam())) {
    for (size_t size = 0; size < seed.size(); ++size) {
      ExpectSame(seed.substr(0, size));
    }
  }
}

// protobuf merges fields that come again, whatever is between them.
TEST_P(WireDifferenceTest, IsNoneForMessagesOneAfterTheOther) {
  const std::vector<std::string> seeds = Seeds(GetParam());
  for (const std::string& a : seeds) {
    for (const std::string& b : seeds) {
      ExpectSame(a + b);
      ExpectSame(a + b + a);
      ExpectSame(a + std::string("\xff\x07\x01", 3) + b);
    }
  }
}

TEST_P(WireDifferenceTest, IsNoneForDamagedMessages) {
  std::mt19937_64 random(5);
  const std::vector<std::string> seeds = Seeds(GetParam());
  int taken = 0, refused = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = seeds[random() % seeds.size()];
    for (uint64_t change = random() % 4 + 1; change > 0; --change) {
      const size_t at = bytes.empty() ? 0 : random() % bytes.size();
      switch (random() % 4) {
        case 0:
          bytes.insert(at, 1, static_cast<char>(random()));
          break;
        case 1:
          bytes.erase(at, random() % 3 + 1);
          break;
        case 2:
          if (!bytes.empty()) bytes[at] = static_cast<char>(random());
          break;
        default:
          bytes.insert(at, bytes.substr(at, random() % 16));
      }
    }
    ++(IsMessage(GetParam(), bytes) ? taken : refused);
    ASSERT_NO_FATAL_FAILURE(ExpectSame(bytes));
  }
  EXPECT_GT(taken, 1000);
  EXPECT_GT(refused, 1000);
}

// One tensor's bytes, wherever a message has one.
class WireTensorTest : public WireDifferenceTest {
 protected:
  void ExpectSameTensor(const std::string& tensor) {
    switch (GetParam()) {
      case WireMessage::kLossRequest:
        for (const int field : {8, 9, 14, 15}) ExpectSame(Field(field, tensor));
        break;
      case WireMessage::kHessianRequest:
        ExpectSame(Field(2, tensor));
        ExpectSame(Field(1, Field(15, tensor)));
        break;
      case WireMessage::kStreamRequest:
        ExpectSame(Field(1, Field(14, tensor)));
        ExpectSame(Field(2, tensor));
        break;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Messages, WireTensorTest, ::testing::ValuesIn(kAll));

TEST_P(WireTensorTest, IsReadAsProtobufReadsIt) {
  const std::string one = "\x3f";
  const std::string cases[] = {
      // Packed and unpacked values, in one field and in several.
      Field(4, Field(1, "abcdefgh")),
      Field(4,
            "\x0d"
            "abcd\x0d"
            "efgh"),
      Field(4, Field(1, "abcd") +
                   "\x0d"
                   "efgh" +
                   Field(1, "ijkl")),
      Field(4, Field(1, "abcd")) + Field(4, Field(1, "efgh")),
      Field(4, Field(1, "abc")), Field(4, ""), Field(4, Field(1, "")),
      Field(5, Field(1, "\x01\xff\x01")), Field(5, "\x08\x05\x08\x06"),
      Field(5, Field(1, "\x01")) + Field(5, "\x08\x06"),
      Field(5, Field(1, "\xff")), Field(5, ""),
      Field(5, Field(1, Repeat("\xff", 9) + "\x01")),
      Field(5, Field(1, Repeat("\xff", 10) + "\x01")),
      // The shape, packed and not; numbers too wide for their field.
      Field(2, "\x02\x03"), "\x10\x02\x10\x03", Field(2, "\x02") + "\x10\x03",
      Field(2, "\x82"), Field(2, ""), "\x08" + Repeat("\xff", 9) + "\x01",
      "\x08\x83\x80\x80\x80\x10",
      // The last of a oneof's fields counts.
      Field(3, "abcd") + Field(4, Field(1, "efgh")),
      Field(4, Field(1, "efgh")) + Field(3, "abcd"),
      Field(4, Field(1, "efgh")) + Field(5, Field(1, one)),
      Field(3, "abcd") + Field(3, ""), Field(3, "") + Field(3, "x"),
      Field(4, Field(1, "abcd")) + Field(3, "x") + Field(4, Field(1, "efgh")),
      // Wrong wire types, unknown fields, groups.
      "\x18\x05",
      "\x0d"
      "abcd",
      "\x09"
      "abcdefgh",
      Field(1, "\x02"),
      "\x1d"
      "abcd",
      Field(9, "xyz"), "\x4b\x4c", "\x4b\x08\x05\x4c", "\x4b", "\x4c",
      "\x4b\x54", "\x4b\x53\x54\x4c", "\x03\x04", "\x02", "\x07",
      std::string(1, '\0'), "\x4e", "\x80\x80\x80\x80\x80\x01",
      // Tags and lengths with more bytes than they need.
      std::string("\x98\x00\x01x", 4), "\x9a\x80\x80\x80\x00\x01x",
      std::string("\x9a\x00\x81\x00x", 5),
      std::string("\x1a\x81\x80\x80\x80\x00x", 7),
      std::string("\x1a\x81\x80\x80\x80\x80\x00x", 8),
      "\x1a\xff\xff\xff\xff\x07", "\x1a\xff\xff\xff\xff\x0f",
      "\x1a\x05"
      "abc"};
  for (const std::string& tensor : cases) {
    ASSERT_NO_FATAL_FAILURE(ExpectSameTensor(tensor))
        << ::testing::PrintToString(tensor);
  }
}

// As deep as protobuf allows, and one deeper.
TEST_P(WireTensorTest, IsReadToTheSameDepth) {
  for (int depth = 95; depth <= 102; ++depth) {
    const std::string groups = Repeat("\x4b", depth) + Repeat("\x4c", depth);
    ASSERT_NO_FATAL_FAILURE(ExpectSame(groups)) << depth;
    for (const int field : {1, 2, 8, 15}) {
      const std::string size(1, static_cast<char>(0x80 | groups.size() % 128));
      const std::string inner =
          std::string(1, char(field << 3 | 2)) + size + '\x01' + groups;
      ASSERT_NO_FATAL_FAILURE(ExpectSame(inner)) << field << " " << depth;
    }
  }
}

}  // namespace
}  // namespace lossd::rpc
