#include "server/compute/error.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lossd::compute {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(MakeErrorTest, KeepsCodeAndMessage) {
  const absl::Status status = MakeError(
      absl::StatusCode::kInvalidArgument, "labels[7] = 1000, want [0, 1000)",
      {.reason = "R", .field = "", .metadata = {}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message(), "labels[7] = 1000, want [0, 1000)");
}

TEST(DetailsOfTest, ReturnsWhatMakeErrorWasGiven) {
  const absl::Status status =
      MakeError(absl::StatusCode::kResourceExhausted, "m",
                {.reason = "TOO_LARGE",
                 .field = "logits.shape[0]",
                 .metadata = {{"limit", "3"}, {"asked", "4"}}});
  const ErrorDetails details = DetailsOf(status);
  EXPECT_EQ(details.reason, "TOO_LARGE");
  EXPECT_EQ(details.field, "logits.shape[0]");
  EXPECT_THAT(details.metadata,
              ElementsAre(Pair("asked", "4"), Pair("limit", "3")));
}

TEST(DetailsOfTest, KeepsEveryByteOfTheDetails) {
  const std::string odd("a\0b/\"\n\xc3\xa9", 8);
  const ErrorDetails details = DetailsOf(
      MakeError(absl::StatusCode::kInternal, "m",
                {.reason = odd, .field = odd, .metadata = {{"k/", odd}}}));
  EXPECT_EQ(details.reason, odd);
  EXPECT_EQ(details.field, odd);
  EXPECT_THAT(details.metadata, ElementsAre(Pair("k/", odd)));
}

TEST(DetailsOfTest, SurvivesACopyOfTheStatus) {
  absl::Status copy;
  {
    const absl::Status status =
        MakeError(absl::StatusCode::kAborted, "m",
                  {.reason = "R", .field = "f", .metadata = {}});
    copy = status;
  }
  EXPECT_EQ(DetailsOf(copy).reason, "R");
  EXPECT_EQ(DetailsOf(copy).field, "f");
}

TEST(DetailsOfTest, IsEmptyForAStatusMadeElsewhere) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::CancelledError("gone")}) {
    const ErrorDetails details = DetailsOf(status);
    EXPECT_THAT(details.reason, IsEmpty());
    EXPECT_THAT(details.field, IsEmpty());
    EXPECT_THAT(details.metadata, IsEmpty());
  }
}

}  // namespace
}  // namespace lossd::compute
