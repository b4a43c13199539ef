// lossd's methods over HTTP, against the same methods over gRPC.
#include "server/http/api.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/http_caller.h"
#include "tests/rpc/requests.h"

namespace lossd::http {
namespace {

using google::protobuf::util::JsonStringToMessage;
using google::protobuf::util::MessageDifferencer;
using google::protobuf::util::MessageToJsonString;
using ::testing::HasSubstr;

// A small batch that is fine, as few bytes as may be.
constexpr char kBatch[] = R"({"logits":[[2,1,0.1],[0,3,0]],"labels":[0,1]})";

std::string ToJson(const google::protobuf::Message& message) {
  std::string json;
  EXPECT_TRUE(MessageToJsonString(message, &json).ok());
  return json;
}

template <typename Message>
Message FromJson(const nlohmann::json& json) {
  Message message;
  EXPECT_TRUE(JsonStringToMessage(json.dump(), &message).ok()) << json;
  return message;
}

// Numbers from texts, too: NaN and infinities.
template <typename Value>
Value NumberOf(const nlohmann::json& json) {
  return json.is_string() ? std::stof(json.get<std::string>())
                          : json.get<Value>();
}

// The elements of nested rows, as bytes.
template <typename Value>
void Flatten(const nlohmann::json& rows, std::string& raw) {
  if (rows.is_array()) {
    for (const auto& row : rows) Flatten<Value>(row, raw);
    return;
  }
  const auto value = NumberOf<Value>(rows);
  raw.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

class ApiTest : public testing::Test {
 protected:
  HttpCaller caller_;
};

struct LossCase {
  std::string loss;    // of LossSpec
  std::string labels;  // nested rows
};

const LossCase kLosses[] = {
    {R"("softmaxCrossEntropy":{"labelSmoothing":0.1})", "[0,2]"},
    {R"("softmaxCrossEntropy":{})", "[[0.2,0.3,0.5],[1,0,0.0]]"},
    {R"("sigmoidCrossEntropy":{})", "[[0,1,1],[1,0,0]]"},
    {R"("negativeLogLikelihood":{"classWeights":[1,2,3]})", "[0,2]"},
    {R"("klDivergence":{"temperature":2})", "[[0.2,0.3,0.5],[1,0,0]]"},
    {R"("softmaxFocal":{"gamma":1.5})", "[0,2]"},
    {R"("sigmoidFocal":{"alpha":0.25})", "[[0,1,1],[1,0,0]]"},
    {R"("multiclassHinge":{"power":2})", "[0,2]"},
    {R"("squaredError":{})", "[[0.25,1,1],[1,0,-3]]"},
    {R"("huber":{"delta":0.5})", "[[0.25,1,1],[1,0,-3]]"}};

// The same bits from rows, from protobuf's own JSON and from gRPC.
template <typename Value>
void CompareWithGrpc(HttpCaller& caller, const std::string& type) {
  for (const LossCase& loss : kLosses) {
    SCOPED_TRACE(loss.loss);
    const std::string json =
        "{\"loss\":{" + loss.loss + "},\"labels\":" + loss.labels +
        ",\"outputs\":[\"OUTPUT_LOSS\",\"OUTPUT_GRADIENT\","
        "\"OUTPUT_ROW_LOSSES\"],\"logits\":{\"dataType\":\"" +
        type + "\",\"values\":[[2,-1,0.1],[-0.3,-3,-7e-5]]}}";
    const HttpAnswer nested = caller.Compute(json);
    ASSERT_EQ(nested.status, 200) << nested.body;
    v1::ComputeLossRequest request;
    ASSERT_TRUE(ReadRequest(json, request).ok());
    const v1::ComputeLossResponse want = caller.grpc().ComputeLoss(request);
    EXPECT_EQ(nested.body["loss"].get<double>(), want.loss());
    std::string gradient;
    Flatten<Value>(nested.body["gradient"]["values"], gradient);
    EXPECT_EQ(gradient, want.gradient().raw());
    std::string row_losses;
    Flatten<Value>(nested.body["rowLosses"]["values"], row_losses);
    EXPECT_EQ(row_losses, want.row_losses().raw());

    const HttpAnswer strict = caller.Compute(ToJson(request));
    ASSERT_EQ(strict.status, 200) << strict.body;
    EXPECT_TRUE(MessageDifferencer::Equals(
        FromJson<v1::ComputeLossResponse>(strict.body), want));
  }
}

TEST_F(ApiTest, ComputesEachLossToTheBitsOfGrpc) {
  CompareWithGrpc<float>(caller_, "DATA_TYPE_FLOAT32");
  CompareWithGrpc<double>(caller_, "DATA_TYPE_FLOAT64");
}

TEST_F(ApiTest, AnswersRowsOfEveryTypeAndKind) {
  const auto answer = caller_.Compute(
      R"({"logits":{"dataType":"DATA_TYPE_BFLOAT16","values":[[0,"-Infinity"]]},
          "labels":[0],"gradientDataType":"DATA_TYPE_FLOAT16",
          "reduction":"REDUCTION_NONE",
          "outputs":["OUTPUT_GRADIENT","OUTPUT_LOG_PROBABILITIES",
                     "OUTPUT_PREDICTIONS"]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(answer.body["gradient"]["dataType"], "DATA_TYPE_FLOAT16");
  EXPECT_EQ(answer.body["gradient"]["values"].dump(), "[[0,0]]");
  EXPECT_EQ(answer.body["predictions"]["values"].dump(), "[0]");
  EXPECT_EQ(answer.body["logProbabilities"]["shape"].dump(), R"(["1","2"])");
  EXPECT_EQ(answer.body["logProbabilities"]["values"].dump(),
            R"([[0,"-Infinity"]])");
  EXPECT_FALSE(answer.body.contains("loss"));
}

TEST_F(ApiTest, MultipliesByTheHessianAsGrpcDoes) {
  const HttpAnswer answer =
      caller_.Post(kHessian, R"({"base":)" + std::string(kBatch) +
                                 R"(,"vector":[[1,0,0],[0,0.5,-1]]})");
  ASSERT_EQ(answer.status, 200) << answer.body;
  v1::ComputeHessianVectorProductRequest request;
  ASSERT_TRUE(ReadRequest(R"({"base":)" + std::string(kBatch) +
                              R"(,"vector":[[1,0,0],[0,0.5,-1]]})",
                          request)
                  .ok());
  grpc::ClientContext context;
  v1::ComputeHessianVectorProductResponse want;
  ASSERT_TRUE(caller_.grpc()
                  .stub()
                  .ComputeHessianVectorProduct(&context, request, &want)
                  .ok());
  std::string product;
  Flatten<float>(answer.body["product"]["values"], product);
  EXPECT_EQ(product, want.product().raw());
}

TEST_F(ApiTest, TellsWhatTheServerIs) {
  const HttpAnswer answer = caller_.Get(kInfo);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(MessageDifferencer::Equals(
      FromJson<v1::GetServerInfoResponse>(answer.body),
      caller_.grpc().GetServerInfo()));
  const auto head = caller_.client().Head(kInfo);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->body, "");
}

TEST_F(ApiTest, GivesTheServersErrorsWithTheirDetails) {
  const HttpAnswer answer =
      caller_.Compute(R"({"logits":[[1,2]],"labels":[2]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.body["code"], 3);
  EXPECT_EQ(answer.message(), "labels[0] = 2, want [0, 2)");
  EXPECT_EQ(answer.reason(), "LABEL_OUT_OF_RANGE");
  EXPECT_EQ(answer.body["details"][0]["domain"], "lossd");
  EXPECT_EQ(answer.body["details"][0]["metadata"]["classes"], "2");
  EXPECT_EQ(answer.field(), "labels");
  EXPECT_EQ(answer.header("Content-Type"), "application/json");
}

TEST_F(ApiTest, NamesWhatIsWrongWithTheJson) {
  const HttpAnswer answer = caller_.Compute(R"({"logits":[[1,2],[3]]})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(answer.reason(), "RAGGED_ROWS");
  EXPECT_EQ(answer.field(), "logits[1]");
  EXPECT_EQ(caller_.Compute("").reason(), "NOT_JSON");
}

TEST_F(ApiTest, RefusesWhatIsNotCalledSo) {
  const HttpAnswer unknown = caller_.Get("/v1/loss");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body["code"], 5);
  const HttpAnswer get = caller_.Get(kCompute);
  EXPECT_EQ(get.status, 405);
  EXPECT_EQ(get.header("Allow"), "POST");
  for (const char* path : {kInfo, "/", "/metrics", "/healthz"}) {
    const HttpAnswer post = caller_.Post(path, "{}");
    EXPECT_EQ(post.status, 405) << path;
    EXPECT_EQ(post.header("Allow"), "GET, HEAD");
  }
  const auto preflight = caller_.client().Options(kCompute);
  ASSERT_TRUE(preflight);
  EXPECT_EQ(preflight->status, 405);
  EXPECT_FALSE(preflight->has_header("Access-Control-Allow-Origin"));
}

TEST_F(ApiTest, TakesJsonAndSaysSo) {
  for (const char* type :
       {"application/json", "application/json; charset=utf-8",
        "Application/JSON"}) {
    EXPECT_EQ(caller_.Post(kCompute, kBatch, {}, type).status, 200) << type;
  }
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded",
                           "application/jsonx", ""}) {
    const HttpAnswer answer = caller_.Post(kCompute, kBatch, {}, type);
    EXPECT_EQ(answer.status, 415) << type;
    EXPECT_THAT(answer.message(), HasSubstr("want application/json"));
  }
  EXPECT_EQ(caller_.Compute(kBatch, {{"Content-Encoding", "gzip"}}).status,
            415);
}

TEST_F(ApiTest, NeedsTheBodysLength) {
  const auto result = caller_.client().Post(
      kCompute,
      [](size_t offset, httplib::DataSink& sink) {
        if (offset == 0) sink.write(kBatch, sizeof(kBatch) - 1);
        sink.done();
        return true;
      },
      "application/json");
  const HttpAnswer answer = HttpCaller::ToAnswer(result);
  EXPECT_EQ(answer.status, 411) << answer.body;
}

TEST_F(ApiTest, KeepsOtherSitesPagesOut) {
  const std::string own = "http://" + caller_.address();
  EXPECT_EQ(caller_.Compute(kBatch, {{"Origin", own}}).status, 200);
  for (const httplib::Headers& headers : std::vector<httplib::Headers>{
           {{"Origin", "http://evil.example"}},
           {{"Origin", "null"}},
           {{"Host", "evil.example"}, {"Origin", "http://evil.example"}},
           {{"Host", "evil.example"}}}) {
    const HttpAnswer answer = caller_.Compute(kBatch, headers);
    EXPECT_EQ(answer.status, 403);
    EXPECT_EQ(answer.reason(), "CROSS_ORIGIN");
    EXPECT_EQ(caller_.Get(kInfo, headers).status, 403);
  }
}

TEST_F(ApiTest, HasDeadlines) {
  EXPECT_EQ(caller_.Compute(kBatch, {{"Grpc-Timeout", "20S"}}).status, 200);
  const HttpAnswer late = caller_.Compute(kBatch, {{"Grpc-Timeout", "1n"}});
  EXPECT_EQ(late.status, 504);
  EXPECT_EQ(late.body["code"], 4);
  const HttpAnswer bad = caller_.Compute(kBatch, {{"Grpc-Timeout", "soon"}});
  EXPECT_EQ(bad.status, 400);
  EXPECT_EQ(bad.reason(), "BAD_HEADER");
}

TEST_F(ApiTest, SaysThatADrainingServerIsUnavailable) {
  caller_.grpc().server().Drain();
  const HttpAnswer answer = caller_.Compute(kBatch);
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body["code"], 14);
  EXPECT_EQ(answer.reason(), "DRAINING");
  EXPECT_EQ(answer.header("Retry-After"), "1");
  // It came to the server as all calls do.
  EXPECT_THAT(caller_.grpc().server().MetricsText(),
              HasSubstr("reason=\"DRAINING\"} 1"));
}

TEST_F(ApiTest, GivesTheRequestIdOfAFailureBack) {
  caller_.grpc().server().Drain();
  EXPECT_EQ(caller_.Compute(kBatch, {{"X-Request-Id", "mine-7"}})
                .header("X-Request-Id"),
            "mine-7");
}

TEST_F(ApiTest, IsCountedAsCalls) {
  caller_.Compute(kBatch);
  caller_.Compute(R"({"logits":[[1,2]],"labels":[2]})");
  const std::string metrics = caller_.grpc().server().MetricsText();
  EXPECT_THAT(metrics, HasSubstr("code=\"OK\",method=\"ComputeLoss\"} 1"));
  EXPECT_THAT(metrics,
              HasSubstr("code=\"INVALID_ARGUMENT\",method=\"ComputeLoss\"} 1"));
}

// A body of exactly so many bytes that is fine.
std::string BodyOf(size_t bytes) {
  return kBatch + std::string(bytes - (sizeof(kBatch) - 1), ' ');
}

TEST(ApiLimitsTest, TakesABodyAtTheLimitAndNotOneByteMore) {
  constexpr int64_t kMax = 1000;
  HttpCaller caller(rpc::TestOptions(), {.body_bytes = kMax});
  EXPECT_EQ(caller.Compute(BodyOf(kMax)).status, 200);
  const HttpAnswer answer = caller.Compute(BodyOf(kMax + 1));
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body["code"], 8);
  EXPECT_THAT(answer.message(), HasSubstr("body of 1001 bytes"));
  EXPECT_THAT(answer.message(), HasSubstr("at most 1000"));
}

TEST(ApiLimitsTest, TakesAMessageAtTheServersLimitAndNotOneByteMore) {
  v1::ComputeLossRequest message;
  ASSERT_TRUE(ReadRequest(kBatch, message).ok());
  rpc::Options options = rpc::TestOptions();
  options.max_request_bytes = static_cast<int64_t>(message.ByteSizeLong());
  EXPECT_EQ(HttpCaller(options).Compute(kBatch).status, 200);
  --options.max_request_bytes;
  const HttpAnswer answer = HttpCaller(options).Compute(kBatch);
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.reason(), "REQUEST_TOO_LARGE");
}

// A call gives back what it had reserved just after its answer is out.
void WaitUntilFree(const rpc::Admission& admission) {
  while (admission.reserved_bytes() != 0) std::this_thread::yield();
}

TEST(ApiLimitsTest, ReservesWhatABodyTakesOfTheMemoryBudget) {
  rpc::Options options = rpc::TestOptions();
  options.memory_budget_bytes = rpc::kSmallestMemoryBudgetBytes;
  HttpCaller caller(options);
  rpc::Admission& admission = caller.grpc().server().admission();
  const int64_t max_body_bytes =
      admission.largest_call_bytes() / 2 / kBytesPerBodyByte;
  EXPECT_EQ(caller.Compute(BodyOf(max_body_bytes)).status, 200);
  EXPECT_EQ(caller.Compute(BodyOf(max_body_bytes + 1)).status, 413);
  WaitUntilFree(admission);
  // Others have all of it.
  ASSERT_TRUE(admission.TryEnter(rpc::Admission::kSmallBytes));
  ASSERT_TRUE(admission.Resize(rpc::Admission::kSmallBytes,
                               options.memory_budget_bytes));
  const HttpAnswer refused = caller.Compute(kBatch);
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.reason(), "OVERLOADED");
  EXPECT_EQ(refused.header("Retry-After"), "1");
  admission.Leave(options.memory_budget_bytes);
  EXPECT_EQ(caller.Compute(kBatch).status, 200);
  WaitUntilFree(admission);
}

TEST(ApiPolicyTest, LetsHttpsCallersDoWhatEverybodyMay) {
  const std::string path = testing::TempDir() + "/http_policy.json";
  std::ofstream(path) << R"({"name": "p", "allow_rules": [
      {"name": "info", "request": {"paths": ["*/GetServerInfo"]}},
      {"name": "named", "source": {"principals": ["*"]}}]})";
  rpc::Options options = rpc::TestOptions();
  options.authorization_policy = path;
  HttpCaller caller(options);
  EXPECT_EQ(caller.Get(kInfo).status, 200);
  const HttpAnswer answer = caller.Compute(kBatch);
  EXPECT_EQ(answer.status, 403);
  EXPECT_EQ(answer.reason(), "DENIED_BY_POLICY");
}

}  // namespace
}  // namespace lossd::http
