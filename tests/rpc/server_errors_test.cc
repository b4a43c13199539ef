// The invalid twin of each RPC: what a caller gets for bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Pair;

const std::string kService = "/lossd.v1.LossService/";
const std::string kMethods[] = {"ComputeLoss", "StreamLoss",
                                "ComputeHessianVectorProduct", "GetServerInfo"};

class ServerErrorsTest : public testing::Test {
 protected:
  // The status of a request that must be refused with this code.
  grpc::Status Refusal(const v1::ComputeLossRequest& request,
                       grpc::StatusCode code) {
    grpc::Status status = server_.StatusOf(request);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_EQ(ErrorInfoOf(status).domain(), "lossd");
    return status;
  }

  TestServer server_;
};

TEST_F(ServerErrorsTest, NameTheFieldAndBothNumbers) {
  v1::ComputeLossRequest request = RequestWith();
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  request.mutable_logits()->set_raw(std::string(23, '\0'));
  const grpc::Status status =
      Refusal(request, grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(),
            "logits.raw: 23 bytes, want 24 (shape [2, 3] of FLOAT32)");
  EXPECT_EQ(FieldOf(status), "logits.raw");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "WRONG_LENGTH");
  EXPECT_THAT(
      ErrorInfoOf(status).metadata(),
      IsSupersetOf({Pair("bytes", "23"), Pair("want", "24"),
                    Pair("shape", "[2, 3]"), Pair("data_type", "FLOAT32")}));
}

TEST_F(ServerErrorsTest, NameALabelOneOutOfRange) {
  for (const int64_t label : {int64_t{3}, int64_t{-1}}) {
    v1::ComputeLossRequest request = RequestWith();
    request.mutable_labels()->mutable_int64_values()->set_values(1, label);
    const grpc::Status status =
        Refusal(request, grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(),
              "labels[1] = " + std::to_string(label) + ", want [0, 3)");
    EXPECT_THAT(FieldOf(status), HasSubstr("labels"));
  }
}

TEST_F(ServerErrorsTest, NameALogitThatIsNotFinite) {
  for (const float logit : {NAN, HUGE_VALF}) {
    v1::ComputeLossRequest request = RequestWith();
    request.mutable_logits()->mutable_float_values()->set_values(4, logit);
    const grpc::Status status =
        Refusal(request, grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(FieldOf(status), HasSubstr("logits"));
    EXPECT_THAT(status.error_message(), HasSubstr("1"));
  }
}

// Over the wire a loss of a later contract is a field that this one lacks.
TEST_F(ServerErrorsTest, NameALossOfALaterContract) {
  v1::ComputeLossRequest request = RequestWith();
  v1::LossSpec& loss = *request.mutable_loss();
  loss.Clear();
  loss.GetReflection()->MutableUnknownFields(&loss)->AddLengthDelimited(99, "");
  const grpc::Status status = Refusal(request, grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(status.error_message(),
            "the loss of LossSpec's field 99 is not in this build");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "NOT_IN_THIS_BUILD");
}

TEST_F(ServerErrorsTest, SayThatGarbageIsNoMessage) {
  for (const std::string& method : kMethods) {
    const grpc::Status status =
        StatusOfBytes(server_.channel(), kService + method, "\xff\xff\xff");
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << method;
    EXPECT_EQ(status.error_message(),
              "the bytes are no valid lossd.v1." + method + "Request");
    EXPECT_EQ(ErrorInfoOf(status).reason(), "NOT_A_MESSAGE");
  }
}

TEST_F(ServerErrorsTest, SayThatACallWithoutAMessageLacksOne) {
  for (const std::string& method : kMethods) {
    RawCall call(server_.channel(), kService + method);
    call.HalfClose();
    const grpc::Status status = call.Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT)
        << method;
    EXPECT_EQ(status.error_message(),
              "the call ended without a request message, want one");
    EXPECT_EQ(ErrorInfoOf(status).reason(), "NO_MESSAGE");
  }
}

TEST_F(ServerErrorsTest, AreUnimplementedForAMethodThatDoesNotExist) {
  EXPECT_EQ(
      StatusOfBytes(server_.channel(), kService + "Nothing", "").error_code(),
      grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerErrorsTest, LeaveTheConnectionServing) {
  EXPECT_FALSE(server_.StatusOf({}).ok());
  EXPECT_FALSE(
      StatusOfBytes(server_.channel(), kService + "ComputeLoss", "\xff").ok());
  EXPECT_EQ(server_.ComputeLoss(RequestWith()).row_count(), 2);
}

}  // namespace
}  // namespace lossd::rpc
