#include "client/lossd/error.h"

#include <string>

#include "client/lossd/status.h"
#include "gmock/gmock.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "gtest/gtest.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ErrorTest, GivesEverythingTheServerAttached) {
  google::rpc::ErrorInfo info;
  info.set_reason("LABEL_OUT_OF_RANGE");
  info.set_domain("lossd");
  (*info.mutable_metadata())["row"] = "7";
  (*info.mutable_metadata())["label"] = "1000";
  google::rpc::BadRequest bad_request;
  bad_request.add_field_violations()->set_field("labels");
  bad_request.add_field_violations()->set_field("logits");
  google::rpc::RetryInfo retry_info;
  retry_info.mutable_retry_delay()->set_seconds(2);
  retry_info.mutable_retry_delay()->set_nanos(5);
  google::rpc::Status details;
  details.add_details()->PackFrom(info);
  details.add_details()->PackFrom(bad_request);
  details.add_details()->PackFrom(retry_info);

  const absl::Status status = StatusFromGrpc(
      grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "labels[7] = 1000",
                   details.SerializeAsString()));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "labels[7] = 1000");
  const ErrorDetails found = DetailsOf(status);
  EXPECT_EQ(found.reason, "LABEL_OUT_OF_RANGE");
  EXPECT_EQ(found.domain, "lossd");
  EXPECT_EQ(found.field, "labels");
  EXPECT_THAT(found.metadata,
              ElementsAre(Pair("label", "1000"), Pair("row", "7")));
  EXPECT_EQ(found.retry_delay, absl::Seconds(2) + absl::Nanoseconds(5));
}

TEST(ErrorTest, IsEmptyWhereNothingIsAttached) {
  const ErrorDetails found = DetailsOf(absl::UnavailableError("no network"));
  EXPECT_THAT(found.reason, IsEmpty());
  EXPECT_THAT(found.domain, IsEmpty());
  EXPECT_THAT(found.field, IsEmpty());
  EXPECT_THAT(found.metadata, IsEmpty());
  EXPECT_FALSE(found.retry_delay.has_value());
}

TEST(ErrorTest, KeepsCodeAndMessageWhenDetailsAreNoMessage) {
  const absl::Status status = StatusFromGrpc(
      grpc::Status(grpc::StatusCode::UNIMPLEMENTED, "huber", "\xff\xff"));
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(std::string(status.message()), "huber");
  EXPECT_THAT(DetailsOf(status).reason, IsEmpty());
}

TEST(ErrorTest, IsOkForOk) {
  EXPECT_TRUE(StatusFromGrpc(grpc::Status::OK).ok());
}

}  // namespace
}  // namespace lossd
