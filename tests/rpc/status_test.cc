#include "server/rpc/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/compute/error.h"
#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

google::rpc::Status DetailsOf(const WireStatus& wire) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(wire.status.error_details()));
  return details;
}

template <typename Message>
Message Unpack(const google::rpc::Status& details, int index) {
  Message message;
  EXPECT_LT(index, details.details_size());
  EXPECT_TRUE(details.details(index).UnpackTo(&message));
  return message;
}

TEST(WireStatusTest, IsOkForOk) {
  const WireStatus wire = ToWireStatus(absl::OkStatus());
  EXPECT_TRUE(wire.status.ok());
  EXPECT_TRUE(wire.trailing_metadata.empty());
}

TEST(WireStatusTest, CarriesErrorInfoAndBadRequest) {
  const WireStatus wire = ToWireStatus(compute::MakeError(
      absl::StatusCode::kInvalidArgument, "labels[7] = 1000, want [0, 1000)",
      {"LABEL_OUT_OF_RANGE", "labels", {{"index", "7"}, {"label", "1000"}}}));
  EXPECT_EQ(wire.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(wire.status.error_message(), "labels[7] = 1000, want [0, 1000)");
  const google::rpc::Status details = DetailsOf(wire);
  EXPECT_EQ(details.code(), 3);
  EXPECT_EQ(details.message(), wire.status.error_message());
  ASSERT_EQ(details.details_size(), 2);
  const auto info = Unpack<google::rpc::ErrorInfo>(details, 0);
  EXPECT_EQ(info.reason(), "LABEL_OUT_OF_RANGE");
  EXPECT_EQ(info.domain(), "lossd");
  EXPECT_THAT(info.metadata(),
              UnorderedElementsAre(Pair("index", "7"), Pair("label", "1000")));
  const auto bad_request = Unpack<google::rpc::BadRequest>(details, 1);
  ASSERT_EQ(bad_request.field_violations_size(), 1);
  EXPECT_EQ(bad_request.field_violations(0).field(), "labels");
  EXPECT_EQ(bad_request.field_violations(0).description(), details.message());
}

TEST(WireStatusTest, HasNoBadRequestWithoutAFieldOrForOtherCodes) {
  EXPECT_EQ(DetailsOf(ToWireStatus(NotAMessage("x"))).details_size(), 1);
  EXPECT_EQ(DetailsOf(ToWireStatus(NotBuilt("x", "loss"))).details_size(), 1);
}

TEST(WireStatusTest, TellsWhenToRetryWhatIsUnavailable) {
  const WireStatus wire = ToWireStatus(compute::MakeError(
      absl::StatusCode::kUnavailable, "full",
      {"OVERLOADED", "", {{std::string(kRetryDelayKey), "1250"}}}));
  EXPECT_THAT(wire.trailing_metadata,
              ElementsAre(Pair("grpc-retry-pushback-ms", "1250")));
  const google::rpc::Status details = DetailsOf(wire);
  ASSERT_EQ(details.details_size(), 2);
  const auto retry = Unpack<google::rpc::RetryInfo>(details, 1);
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(retry.retry_delay().nanos(), 250'000'000);
}

TEST(WireStatusTest, HasADelayForEveryUnavailable) {
  const WireStatus wire = ToWireStatus(absl::UnavailableError("full"));
  EXPECT_THAT(wire.trailing_metadata,
              ElementsAre(Pair("grpc-retry-pushback-ms", "1000")));
}

TEST(WireStatusTest, HasAReasonForErrorsMadeElsewhere) {
  const auto info = Unpack<google::rpc::ErrorInfo>(
      DetailsOf(ToWireStatus(absl::InternalError("oh"))), 0);
  EXPECT_EQ(info.reason(), "INTERNAL");
  EXPECT_EQ(info.domain(), "lossd");
}

TEST(WireStatusTest, KeepsAMessageAtItsLimitAndCutsOnePastIt) {
  const std::string at(512, 'm');
  EXPECT_EQ(ToWireStatus(absl::InvalidArgumentError(at)).status.error_message(),
            at);
  EXPECT_EQ(
      ToWireStatus(absl::InvalidArgumentError(at + "m")).status.error_message(),
      std::string(509, 'm') + "...");
}

TEST(WireStatusTest, KeepsAValueAtItsLimitAndCutsOnePastIt) {
  const std::string at(128, 'v');
  const auto value_of = [](const std::string& value) {
    const auto info = Unpack<google::rpc::ErrorInfo>(
        DetailsOf(ToWireStatus(compute::MakeError(
            absl::StatusCode::kInternal, "oh", {"X", "", {{"key", value}}}))),
        0);
    return info.metadata().at("key");
  };
  EXPECT_EQ(value_of(at), at);
  EXPECT_EQ(value_of(at + "v"), std::string(125, 'v') + "...");
}

TEST(WireStatusTest, StaysBelowItsSizeWhateverItIsGiven) {
  const std::string longest(10'000, 'x');
  compute::ErrorDetails details{longest, longest, {}};
  for (int i = 0; i < 20; ++i) {
    details.metadata.emplace_back(std::to_string(i) + longest, longest);
  }
  for (const absl::StatusCode code :
       {absl::StatusCode::kInvalidArgument, absl::StatusCode::kUnavailable}) {
    const WireStatus wire =
        ToWireStatus(compute::MakeError(code, longest, details));
    EXPECT_LT(
        wire.status.error_message().size() + wire.status.error_details().size(),
        kMaxStatusBytes);
    const auto info = Unpack<google::rpc::ErrorInfo>(DetailsOf(wire), 0);
    EXPECT_EQ(info.metadata_size(), 8);
  }
}

TEST(WireStatusTest, ReplacesBytesThatAreNotPrintable) {
  EXPECT_EQ(ToWireStatus(absl::InvalidArgumentError("a\nb\xff\x7f~ c"))
                .status.error_message(),
            "a?b??~ c");
}

TEST(WireStatusTest, KeepsTheCodeOfEveryError) {
  EXPECT_EQ(ToWireStatus(DeadlinePassed()).status.error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ToWireStatus(CallerCancelled()).status.error_code(),
            grpc::StatusCode::CANCELLED);
  EXPECT_EQ(ToWireStatus(Draining()).status.error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(ToWireStatus(RequestTooLarge(2, 1)).status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(ToWireStatus(OutOfMemory(2)).status.error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace lossd::rpc
