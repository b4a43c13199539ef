// A stream's messages against the generated code, both ways.
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "client/lossd/wire.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/buffers.h"
#include "tests/client/recorder.h"

namespace lossd {
namespace {

using testing::BufferOf;
using testing::BytesOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SetRaw;
using Response = v1::StreamLossResponse;

TEST(StreamBytesTest, OfAChunkAreThoseOfTheGeneratedCode) {
  const auto memory = std::make_shared<RequestMemory>();
  for (const size_t bytes : {1, 4, 123, 124, 125, 126, 127, 128, 16'380, 16'384,
                             1 << 20, (1 << 21) + 1}) {
    const std::string raw(bytes, 'x');
    v1::StreamLossRequest message;
    message.mutable_chunk()->set_raw(raw);
    const std::string got = BytesOf(StreamChunkBytes(raw, *memory));
    EXPECT_EQ(got, message.SerializeAsString()) << bytes;
    EXPECT_LE(got.size() - bytes, static_cast<size_t>(kChunkHeadBytes));
  }
}

TEST(StreamBytesTest, OfAHeaderAreThoseOfTheGeneratedCode) {
  for (const size_t rows : {0, 3, 300'000}) {
    v1::ComputeLossRequest request;
    request.mutable_logits()->add_shape(7);
    SetRaw(request.mutable_labels(), v1::DATA_TYPE_INT64,
           std::vector<int64_t>(rows, 5));
    v1::StreamLossRequest message;
    *message.mutable_header() = request;
    EXPECT_EQ(BytesOf(StreamHeaderBytes(request)), message.SerializeAsString());
  }
}

class ReadStreamAnswerTest : public ::testing::Test {
 protected:
  ReadStreamAnswerTest() {
    SetRow(-1);
    v1::ComputeLossResponse* summary = summary_.mutable_summary();
    summary->set_loss(0.5);
    summary->set_row_count(2);
    SetRaw<float>(summary->mutable_row_losses(), v1::DATA_TYPE_FLOAT32, {7, 8});
  }

  // Three elements of gradient from `first_row` on.
  void SetRow(int64_t first_row) {
    const std::vector<float> values = {1, 2, 3};
    chunk_.mutable_gradient_chunk()->set_first_row(first_row);
    chunk_.mutable_gradient_chunk()->set_raw(values.data(), 12);
  }

  absl::StatusOr<StreamAnswer> Read(const grpc::ByteBuffer& buffer) {
    return ReadStreamAnswer(
        buffer,
        {reinterpret_cast<char*>(gradient_.data()), 4 * gradient_.size()},
        {FieldFor("row_losses", v1::ComputeLossResponse::kRowLossesFieldNumber,
                  absl::MakeSpan(row_losses_))},
        &rest_);
  }
  absl::StatusOr<StreamAnswer> Read(const std::string& bytes) {
    return Read(BufferOf(bytes, bytes.size() + 1));
  }

  Response chunk_;
  Response summary_;
  v1::ComputeLossResponse rest_;
  std::vector<float> gradient_ = std::vector<float>(4);
  std::vector<float> row_losses_ = std::vector<float>(2);
};

TEST_F(ReadStreamAnswerTest, ReadsSlicesOfAnyLength) {
  const std::string chunk = chunk_.SerializeAsString();
  const std::string summary = summary_.SerializeAsString();
  for (size_t length = 1; length <= chunk.size(); ++length) {
    gradient_.assign(4, 9);
    const auto answer = Read(BufferOf(chunk, length));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->kind, Response::kGradientChunk);
    EXPECT_EQ(answer->first_row, -1);
    EXPECT_EQ(answer->gradient_bytes, 12u);
    EXPECT_THAT(gradient_, ElementsAre(1, 2, 3, 9));
  }
  for (size_t length = 1; length <= summary.size(); ++length) {
    row_losses_.assign(2, 0);
    const auto answer = Read(BufferOf(summary, length));
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->kind, Response::kSummary);
    EXPECT_EQ(rest_.loss(), 0.5);
    EXPECT_EQ(rest_.row_count(), 2);
    EXPECT_FALSE(rest_.has_row_losses());
    EXPECT_THAT(row_losses_, ElementsAre(7, 8));
  }
}

TEST_F(ReadStreamAnswerTest, WritesNothingWithoutTheRoom) {
  gradient_.assign(2, 9);
  const auto answer = Read(chunk_.SerializeAsString());
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->gradient_bytes, 12u);
  EXPECT_THAT(gradient_, ElementsAre(9, 9));
}

TEST_F(ReadStreamAnswerTest, TellsAnEmptyMessage) {
  const auto answer = Read(BufferOf("", 1));
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->kind, Response::MESSAGE_NOT_SET);
  EXPECT_EQ(Read(grpc::ByteBuffer()).status().code(),
            absl::StatusCode::kInternal);
}

TEST_F(ReadStreamAnswerTest, RefusesASummaryWithoutWhatWasAskedFor) {
  summary_.mutable_summary()->clear_row_losses();
  const absl::Status status = Read(summary_.SerializeAsString()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("row_losses with 0 bytes"));
}

TEST_F(ReadStreamAnswerTest, RefusesEveryMessageThatWasCutShort) {
  for (const Response* response : {&chunk_, &summary_}) {
    const std::string bytes = response->SerializeAsString();
    for (size_t length = 1; length < bytes.size(); ++length) {
      EXPECT_FALSE(Read(bytes.substr(0, length)).ok()) << length;
    }
  }
}

// Whatever arrives, several messages in one included: what the generated code
// refuses is refused, and what is taken is what the generated code reads.
TEST_F(ReadStreamAnswerTest, AgreesWithTheGeneratedCodeOnBrokenMessages) {
  std::mt19937 random(12);
  int chunks = 0, summaries = 0;
  for (int i = 0; i < 50'000; ++i) {
    SetRow(static_cast<int64_t>(random() % 300));
    std::string bytes;
    for (unsigned n = random() % 3 + 1; n > 0; --n) {
      bytes += (random() % 2 == 0 ? chunk_ : summary_).SerializeAsString();
    }
    for (unsigned n = random() % 3; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    const auto answer = Read(bytes);
    Response parsed;
    const bool parses = parsed.ParseFromString(bytes);
    ASSERT_TRUE(parses || !answer.ok()) << i;
    if (!answer.ok()) continue;
    ASSERT_EQ(answer->kind, parsed.message_case()) << i;
    if (answer->kind == Response::kGradientChunk) {
      ++chunks;
      const std::string& raw = parsed.gradient_chunk().raw();
      EXPECT_EQ(answer->first_row, parsed.gradient_chunk().first_row()) << i;
      ASSERT_EQ(answer->gradient_bytes, raw.size()) << i;
      if (raw.size() > 16) continue;
      EXPECT_EQ(raw,
                RawBytes(absl::MakeConstSpan(gradient_)).substr(0, raw.size()))
          << i;
    } else if (answer->kind == Response::kSummary) {
      ++summaries;
      EXPECT_EQ(rest_.row_count(), parsed.summary().row_count()) << i;
      EXPECT_EQ(parsed.summary().row_losses().raw(),
                RawBytes(absl::MakeConstSpan(row_losses_)))
          << i;
    }
  }
  EXPECT_GT(chunks, 1000);
  EXPECT_GT(summaries, 1000);
}

}  // namespace
}  // namespace lossd
