#include "server/http/request_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/compute/error.h"
#include "server/http/nested_values.h"

namespace lossd::http {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string FieldOf(const absl::Status& status) {
  return compute::DetailsOf(status).field;
}

// A request that is expected to be fine.
v1::ComputeLossRequest Read(const std::string& json,
                            TensorStyle want = TensorStyle::kNested) {
  v1::ComputeLossRequest request;
  const auto style = ReadRequest(json, request);
  EXPECT_TRUE(style.ok() && *style == want) << style.status();
  return request;
}

absl::Status ErrorOf(const std::string& json) {
  v1::ComputeLossRequest request;
  return ReadRequest(json, request).status();
}

template <typename Value>
std::vector<Value> ValuesOf(const v1::Tensor& tensor) {
  std::vector<Value> values(tensor.raw().size() / sizeof(Value));
  std::memcpy(values.data(), tensor.raw().data(), tensor.raw().size());
  return values;
}

v1::Tensor Logits(const std::string& json) {
  return Read("{\"logits\":" + json + "}").logits();
}

TEST(ReadRequestTest, TakesRowsAloneAsFloat32) {
  const v1::Tensor logits = Logits("[[2, 1, 0.1], [-0, 3e0, 1e-3]]");
  EXPECT_EQ(logits.data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_THAT(logits.shape(), ElementsAre(2, 3));
  EXPECT_THAT(ValuesOf<float>(logits), ElementsAre(2, 1, 0.1F, 0, 3, 1e-3F));
  EXPECT_TRUE(std::signbit(ValuesOf<float>(logits)[3]));
}

TEST(ReadRequestTest, TakesTypedRowsWhereverTheTypeStands) {
  for (const std::string json :
       {R"({"dataType": "DATA_TYPE_FLOAT64", "values": [[0.1], [1e300]]})",
        R"({"values": [[0.1], [1e300]], "data_type": 2})"}) {
    const v1::Tensor logits = Logits(json);
    EXPECT_EQ(logits.data_type(), v1::DATA_TYPE_FLOAT64);
    EXPECT_THAT(logits.shape(), ElementsAre(2, 1));
    EXPECT_THAT(ValuesOf<double>(logits), ElementsAre(0.1, 1e300));
  }
}

// The middle between two numbers of FLOAT32 and a little more: by way of a
// double it would be the middle itself, which rounds to the even one below.
TEST(ReadRequestTest, RoundsToFloat32Once) {
  EXPECT_THAT(ValuesOf<float>(Logits("[1.00000005960464477539062500001]")),
              ElementsAre(std::nextafter(1.0F, 2.0F)));
}

TEST(ReadRequestTest, RoundsToNarrowTypes) {
  const auto bits_of = [](const std::string& type, const std::string& number) {
    return ValuesOf<uint16_t>(Logits("{\"dataType\":\"DATA_TYPE_" + type +
                                     "\",\"values\":[" + number + "]}"))[0];
  };
  EXPECT_EQ(bits_of("FLOAT16", "1"), 0x3c00);
  EXPECT_EQ(bits_of("FLOAT16", "65504"), 0x7bff);
  EXPECT_EQ(bits_of("FLOAT16", "2049"), 0x6800);  // ties to even
  EXPECT_EQ(bits_of("FLOAT16", "\"-Infinity\""), 0xfc00);
  EXPECT_EQ(bits_of("BFLOAT16", "-1.5"), 0xbfc0);
}

TEST(ReadRequestTest, TakesTheNumbersThatJsonCannotWrite) {
  const auto values =
      ValuesOf<float>(Logits(R"([["NaN", "Infinity", "-Infinity"]])"));
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], INFINITY);
  EXPECT_EQ(values[2], -INFINITY);
}

TEST(ReadRequestTest, TakesLabelsAsIndicesOnlyWhereTheyAre) {
  const auto labels = [](const std::string& json) {
    return Read("{\"labels\":" + json + ", \"logits\": [[1, 2], [3, 4]]}")
        .labels();
  };
  EXPECT_EQ(labels("[0, 1]").data_type(), v1::DATA_TYPE_INT64);
  EXPECT_THAT(ValuesOf<int64_t>(labels("[0, -9223372036854775808]")),
              ElementsAre(0, INT64_MIN));
  EXPECT_EQ(labels("[0, 1.0]").data_type(), v1::DATA_TYPE_FLOAT32);
  EXPECT_EQ(labels("[[0, 1], [1, 0]]").data_type(), v1::DATA_TYPE_FLOAT32);
}

TEST(ReadRequestTest, GivesOtherRowsTheTypeOfTheLogits) {
  const auto request = Read(
      R"({"rowWeights": [1], "upstreamGradient": 2, "labels": [0],
          "logits": {"dataType": "DATA_TYPE_FLOAT64", "values": [[1]]},
          "loss": {"softmaxCrossEntropy": {"classWeights": [3]}}})");
  EXPECT_THAT(ValuesOf<double>(request.row_weights()), ElementsAre(1));
  EXPECT_TRUE(request.upstream_gradient().shape().empty());
  EXPECT_THAT(ValuesOf<double>(request.upstream_gradient()), ElementsAre(2));
  EXPECT_THAT(
      ValuesOf<double>(request.loss().softmax_cross_entropy().class_weights()),
      ElementsAre(3));
}

TEST(ReadRequestTest, TakesProtobufsOwnMapping) {
  const auto request = Read(
      R"({"logits": {"shape": ["1", 2], "floatValues": {"values": [1, "2"]}},
          "labels": {"data_type": "DATA_TYPE_INT32", "shape": [1],
                     "raw": "AQAAAA=="},
          "loss": null, "reduction": 2, "outputs": ["OUTPUT_LOSS"],
          "divisor": 1.5})",
      TensorStyle::kRaw);
  EXPECT_THAT(request.logits().float_values().values(), ElementsAre(1, 2));
  EXPECT_EQ(request.labels().raw(), std::string("\1\0\0\0", 4));
  EXPECT_FALSE(request.has_loss());
  EXPECT_EQ(request.reduction(), v1::REDUCTION_SUM);
  EXPECT_EQ(request.divisor(), 1.5);
}

TEST(ReadRequestTest, TakesAShapeThatIsTheRowsOwn) {
  EXPECT_THAT(Logits(R"({"shape": [1, 2], "values": [[1, 2]]})").shape(),
              ElementsAre(1, 2));
  EXPECT_THAT(Logits(R"({"shape": [0, 3], "values": []})").shape(),
              ElementsAre(0, 3));
  EXPECT_THAT(
      ErrorOf(R"({"logits": {"shape": [2, 1], "values": [[1, 2]]}})").message(),
      HasSubstr("logits.shape = [2, 1], want [1, 2]"));
  EXPECT_EQ(FieldOf(ErrorOf(R"({"logits": {"shape": [1, 3], "values": []}})")),
            "logits.shape");
}

TEST(ReadRequestTest, NamesRowsOfOtherLengths) {
  const absl::Status status = ErrorOf(R"({"logits": [[1, 2], [1, 2, 3]]})");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(FieldOf(status), "logits[1]");
  EXPECT_THAT(status.message(), HasSubstr("3 elements, want 2"));
}

TEST(ReadRequestTest, TakesAsManyAxesAsItSaysAndNotOneMore) {
  const auto nested = [](size_t rank) {
    return "{\"logits\":" + std::string(rank, '[') + "1" +
           std::string(rank, ']') + "}";
  };
  EXPECT_EQ(Read(nested(NestedValues::kMaxRank)).logits().shape_size(),
            NestedValues::kMaxRank);
  EXPECT_THAT(ErrorOf(nested(NestedValues::kMaxRank + 1)).message(),
              HasSubstr("more than 32 axes"));
  EXPECT_FALSE(ErrorOf(nested(100'000)).ok());
  EXPECT_FALSE(ErrorOf(std::string(100'000, '[')).ok());
}

struct BadRequest {
  std::string json;
  std::string field;
  std::string reason;
};

TEST(ReadRequestTest, NamesWhatIsWrong) {
  for (const BadRequest& bad : std::vector<BadRequest>{
           {"", "", "NOT_JSON"},
           {"{", "", "NOT_JSON"},
           {"{}x", "", "NOT_JSON"},
           {"{'logits': []}", "", "NOT_JSON"},
           {"{\"logits\": [1,]}", "", "NOT_JSON"},
           {"{\"logits\": [NaN]}", "", "NOT_JSON"},
           {"{\"logits\": [1e999]}", "", "NOT_JSON"},
           {"{\"logits\": \"\xff\"}", "", "NOT_JSON"},
           {"[]", "", "WRONG_TYPE"},
           {"1", "", "WRONG_TYPE"},
           {R"({"logit": 1})", "logit", "UNKNOWN_FIELD"},
           {R"({"logits": {"rows": []}})", "logits.rows", "UNKNOWN_FIELD"},
           {R"({"loss": {"huber": {"x": 1}}})", "loss.huber.x",
            "UNKNOWN_FIELD"},
           {R"({"labels": [], "labels": []})", "labels", "DUPLICATE_FIELD"},
           {R"({"rowWeights": [], "row_weights": []})", "row_weights",
            "DUPLICATE_FIELD"},
           {R"({"logits": {"raw": "", "values": []}})", "logits",
            "DUPLICATE_FIELD"},
           {R"({"logits": {"values": 1, "values": 1}})", "logits",
            "DUPLICATE_FIELD"},
           {R"({"logits": "x"})", "logits", "WRONG_TYPE"},
           {R"({"logits": true})", "logits", "WRONG_TYPE"},
           {R"({"logits": [[1], ["x"]]})", "logits[1][0]", "WRONG_TYPE"},
           {R"({"logits": [[1], [null]]})", "logits[1][0]", "WRONG_TYPE"},
           {R"({"logits": [[1], [true]]})", "logits[1][0]", "WRONG_TYPE"},
           {R"({"logits": [{}]})", "logits[0]", "WRONG_TYPE"},
           {R"({"logits": {"values": {}}})", "logits", "WRONG_TYPE"},
           {R"({"logits": {"values": "1"}})", "logits", "WRONG_TYPE"},
           {R"({"logits": [1, [2]]})", "logits[1]", "MIXED_DEPTH"},
           {R"({"logits": [[1], 2]})", "logits[1]", "MIXED_DEPTH"},
           {R"({"logits": [1e39]})", "logits[0]", "OUT_OF_RANGE"},
           {R"({"logits": {"dataType": 3, "values": [65520]}})", "logits[0]",
            "OUT_OF_RANGE"},
           {R"({"logits": {"dataType": 5, "values": [0, 2147483648]}})",
            "logits[1]", "OUT_OF_RANGE"},
           {R"({"logits": {"dataType": 6, "values": [1.0]}})", "logits[0]",
            "OUT_OF_RANGE"},
           {R"({"logits": {"dataType": 7, "values": [1]}})", "logits.data_type",
            "OUT_OF_RANGE"},
           {R"({"outputs": "OUTPUT_LOSS"})", "outputs", "WRONG_TYPE"},
           {R"({"outputs": [["OUTPUT_LOSS"]]})", "outputs[0]", "WRONG_TYPE"},
           {R"({"reduction": []})", "reduction", "WRONG_TYPE"},
           {R"({"reduction": {}})", "reduction", "WRONG_TYPE"},
           {R"({"loss": [1]})", "loss", "WRONG_TYPE"},
           {R"({"reduction": "SUM"})", "reduction", "NOT_A_MESSAGE"},
           {R"({"divisor": "x"})", "divisor", "NOT_A_MESSAGE"}}) {
    const absl::Status status = ErrorOf(bad.json);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << bad.json;
    EXPECT_EQ(FieldOf(status), bad.field) << bad.json << status;
    EXPECT_EQ(compute::DetailsOf(status).reason, bad.reason)
        << bad.json << status;
  }
}

}  // namespace
}  // namespace lossd::http
