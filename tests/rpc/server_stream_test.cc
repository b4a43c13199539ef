// StreamLoss over loopback: the bits of the unary call, chunk by chunk, and a
// clear error for every way to break the stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::HasSubstr;

// `rows` x `classes` drawn logits with labels.
v1::ComputeLossRequest DrawnRequest(v1::DataType type, int64_t rows,
                                    int64_t classes) {
  std::mt19937_64 random(rows * 1000 + classes);
  std::normal_distribution<double> normal(0, 3);
  std::vector<double> logits(rows * classes);
  for (double& logit : logits) logit = normal(random);
  v1::ComputeLossRequest request;
  *request.mutable_logits() = FloatTensor(type, {rows, classes}, logits);
  v1::Tensor& labels = *request.mutable_labels();
  labels.add_shape(rows);
  labels.mutable_int64_values();  // there even if empty
  for (int64_t row = 0; row < rows; ++row) {
    labels.mutable_int64_values()->add_values(
        static_cast<int64_t>(random() % classes));
  }
  return request;
}

v1::StreamLossRequest HeaderOf(const v1::ComputeLossRequest& request) {
  v1::StreamLossRequest message;
  *message.mutable_header() = request;
  message.mutable_header()->mutable_logits()->clear_contents();
  return message;
}

v1::StreamLossRequest ChunkOf(const std::string& raw) {
  v1::StreamLossRequest message;
  message.mutable_chunk()->set_raw(raw);
  return message;
}

// What a stream returned.
struct Streamed {
  grpc::Status status;
  std::vector<int64_t> first_rows;
  std::string gradient;
  std::optional<v1::ComputeLossResponse> summary;
};

class ServerStreamTest : public ::testing::Test {
 protected:
  // Sends `messages`, then ends its side, and reads to the end.
  Streamed Stream(const std::vector<v1::StreamLossRequest>& messages) {
    grpc::ClientContext context;
    const auto stream = server_.stub().StreamLoss(&context);
    std::thread writer([&] {
      for (const v1::StreamLossRequest& message : messages) {
        if (!stream->Write(message)) return;
      }
      stream->WritesDone();
    });
    Streamed result;
    v1::StreamLossResponse response;
    while (stream->Read(&response)) {
      EXPECT_FALSE(result.summary.has_value()) << "the summary comes last";
      if (response.has_summary()) {
        result.summary = response.summary();
      } else {
        result.first_rows.push_back(response.gradient_chunk().first_row());
        result.gradient += response.gradient_chunk().raw();
      }
    }
    writer.join();
    result.status = stream->Finish();
    return result;
  }

  // In chunks of `rows` rows.
  Streamed StreamInChunks(const v1::ComputeLossRequest& request, int64_t rows) {
    std::vector<v1::StreamLossRequest> messages = {HeaderOf(request)};
    const std::string& raw = request.logits().raw();
    const size_t chunk_bytes = rows * request.logits().shape(1) *
                               ElementBytes(request.logits().data_type());
    for (size_t at = 0; at < raw.size(); at += chunk_bytes) {
      messages.push_back(ChunkOf(raw.substr(at, chunk_bytes)));
    }
    return Stream(messages);
  }

  void ExpectRefusal(const std::vector<v1::StreamLossRequest>& messages,
                     const std::string& message, const std::string& reason,
                     const std::string& field) {
    const grpc::Status status = Stream(messages).status;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(status.error_message(), message);
    EXPECT_EQ(ErrorInfoOf(status).reason(), reason);
    EXPECT_EQ(FieldOf(status), field);
  }

  TestServer server_;
};

TEST_F(ServerStreamTest, HasTheBitsOfTheUnaryCallForEveryDivision) {
  for (const v1::DataType type : kFloatTypes) {
    v1::ComputeLossRequest request = DrawnRequest(type, 24, 37);
    for (int output = v1::OUTPUT_LOSS; output <= v1::OUTPUT_PREDICTIONS;
         ++output) {
      request.add_outputs(static_cast<v1::Output>(output));
    }
    v1::ComputeLossResponse want = server_.ComputeLoss(request);
    const std::string want_gradient = want.gradient().raw();
    want.clear_gradient();
    for (const int64_t rows : {1, 5, 23, 24, 1000}) {
      const Streamed got = StreamInChunks(request, rows);
      ASSERT_TRUE(got.status.ok()) << got.status.error_message();
      EXPECT_EQ(got.gradient, want_gradient) << rows;
      ASSERT_TRUE(got.summary.has_value());
      EXPECT_EQ(got.summary->SerializeAsString(), want.SerializeAsString());
      for (size_t i = 0; i < got.first_rows.size(); ++i) {
        EXPECT_EQ(got.first_rows[i], static_cast<int64_t>(i) * rows);
      }
    }
  }
}

TEST_F(ServerStreamTest, TakesOptionsAndTargetsOfTheWholeBatch) {
  v1::ComputeLossRequest request = DrawnRequest(v1::DATA_TYPE_FLOAT32, 7, 5);
  std::vector<double> targets(35), weights(7);
  for (size_t i = 0; i < targets.size(); ++i) targets[i] = (i % 7) / 8.0;
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = i / 4.0;
  *request.mutable_labels() =
      FloatTensor(v1::DATA_TYPE_FLOAT16, {7, 5}, targets);
  *request.mutable_row_weights() =
      FloatTensor(v1::DATA_TYPE_FLOAT64, {7}, weights);
  request.mutable_loss()->mutable_sigmoid_focal()->set_gamma(1.5);
  request.set_gradient_data_type(v1::DATA_TYPE_FLOAT64);
  const v1::ComputeLossResponse want = server_.ComputeLoss(request);
  const Streamed got = StreamInChunks(request, 2);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_EQ(got.gradient, want.gradient().raw());
  EXPECT_EQ(got.summary->loss(), want.loss());
  EXPECT_EQ(got.summary->divisor(), want.divisor());
}

TEST_F(ServerStreamTest, AnswersNoChunksWithoutAGradient) {
  v1::ComputeLossRequest request = DrawnRequest(v1::DATA_TYPE_FLOAT32, 9, 4);
  request.add_outputs(v1::OUTPUT_LOSS);
  const Streamed got = StreamInChunks(request, 2);
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  EXPECT_TRUE(got.first_rows.empty());
  EXPECT_EQ(got.summary->loss(), server_.ComputeLoss(request).loss());
}

TEST_F(ServerStreamTest, SummarizesABatchWithoutRows) {
  const Streamed got =
      Stream({HeaderOf(DrawnRequest(v1::DATA_TYPE_FLOAT32, 0, 4))});
  ASSERT_TRUE(got.status.ok()) << got.status.error_message();
  ASSERT_TRUE(got.summary.has_value());
  EXPECT_EQ(got.summary->row_count(), 0);
}

// A caller may wait for the summary before it ends its own side.
TEST_F(ServerStreamTest, SummarizesBeforeTheCallerEndsItsSide) {
  const v1::ComputeLossRequest request =
      DrawnRequest(v1::DATA_TYPE_FLOAT32, 2, 3);
  grpc::ClientContext context;
  const auto stream = server_.stub().StreamLoss(&context);
  EXPECT_TRUE(stream->Write(HeaderOf(request)));
  EXPECT_TRUE(stream->Write(ChunkOf(request.logits().raw())));
  v1::StreamLossResponse response;
  EXPECT_TRUE(stream->Read(&response) && response.has_gradient_chunk());
  EXPECT_TRUE(stream->Read(&response) && response.has_summary());
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(ServerStreamTest, WantsAHeaderFirstAndOnce) {
  const v1::ComputeLossRequest request =
      DrawnRequest(v1::DATA_TYPE_FLOAT32, 2, 3);
  ExpectRefusal({ChunkOf("abcd"), HeaderOf(request)},
                "message 1 of the stream is a chunk, want a header",
                "NO_HEADER", "header");
  ExpectRefusal({HeaderOf(request), HeaderOf(request)},
                "message 2 of the stream is a header, want a chunk: the one "
                "header comes first",
                "SECOND_HEADER", "header");
  ExpectRefusal({v1::StreamLossRequest()},
                "message 1 of the stream is empty, want a header",
                "EMPTY_MESSAGE", "");
  ExpectRefusal({HeaderOf(request), v1::StreamLossRequest()},
                "message 2 of the stream is empty, want a chunk",
                "EMPTY_MESSAGE", "");
}

TEST_F(ServerStreamTest, WantsAHeaderWithoutLogitsContents) {
  v1::StreamLossRequest header;
  *header.mutable_header() = DrawnRequest(v1::DATA_TYPE_FLOAT32, 2, 3);
  ExpectRefusal({header},
                "logits: 24 bytes of contents, want none: they come in chunks",
                "CONTENTS_IN_HEADER", "logits");
  header.mutable_header()->mutable_logits()->clear_contents();
  header.mutable_header()->mutable_logits()->clear_data_type();
  ExpectRefusal(
      {header},
      "logits.data_type: missing, want the type of the chunks' elements",
      "MISSING_FIELD", "logits.data_type");
}

TEST_F(ServerStreamTest, WantsTheClassesLast) {
  v1::ComputeLossRequest request = DrawnRequest(v1::DATA_TYPE_FLOAT32, 3, 3);
  request.set_class_axis(0);
  ExpectRefusal({HeaderOf(request)},
                "class_axis = 0, want the last axis: chunks are of whole rows",
                "OUT_OF_RANGE", "class_axis");
}

TEST_F(ServerStreamTest, WantsWholeRowsAndAsManyAsAnnounced) {
  const v1::ComputeLossRequest request =
      DrawnRequest(v1::DATA_TYPE_FLOAT32, 3, 3);
  const v1::StreamLossRequest header = HeaderOf(request);
  const std::string row(12, '\0');
  ExpectRefusal({header, ChunkOf(row), ChunkOf("")},
                "chunk.raw: 0 bytes at row 1, want a positive multiple of 12, "
                "a row's",
                "EMPTY_CHUNK", "chunk.raw");
  ExpectRefusal({header, ChunkOf(row + "x")},
                "chunk.raw: 13 bytes at row 0, want a positive multiple of 12, "
                "a row's",
                "SPLIT_ROW", "chunk.raw");
  ExpectRefusal({header, ChunkOf(row), ChunkOf(row + row + row)},
                "chunk.raw: 36 bytes at row 1, want at most 24: the header "
                "announced 3 rows",
                "TOO_MANY_ROWS", "chunk.raw");
  ExpectRefusal({header, ChunkOf(row + row + row), ChunkOf(row)},
                "chunk.raw: 12 bytes at row 3, want none: the header announced "
                "3 rows",
                "TOO_MANY_ROWS", "chunk.raw");
  ExpectRefusal({header, ChunkOf(row), ChunkOf(row)},
                "the stream ended after 2 rows, want 3: the header announced "
                "them",
                "TOO_FEW_ROWS", "chunk.raw");
  ExpectRefusal({header},
                "the stream ended after 0 rows, want 3: the header announced "
                "them",
                "TOO_FEW_ROWS", "chunk.raw");
}

TEST_F(ServerStreamTest, CountsRowsFromTheFirstChunkInErrors) {
  v1::ComputeLossRequest request = FromText<v1::ComputeLossRequest>(R"(
      logits { shape: [ 3, 2 ] float_values {
          values: [ 0, 1, 2, 3, 4, nan ] } }
      labels { shape: 3 int64_values { values: [ 0, 1, 0 ] } })");
  request.mutable_logits()->set_data_type(v1::DATA_TYPE_FLOAT32);
  const auto& values = request.logits().float_values().values();
  const std::string raw =
      RawBytes(std::vector<float>(values.begin(), values.end()));
  ExpectRefusal(
      {HeaderOf(request), ChunkOf(raw.substr(0, 16)), ChunkOf(raw.substr(16))},
      "logits[2, 1] = nan, want a finite number or -inf (row 2, "
      "class 1)",
      "NON_FINITE_LOGIT", "logits");
}

TEST_F(ServerStreamTest, RefusesLabelsBeforeAnyChunk) {
  v1::ComputeLossRequest request = DrawnRequest(v1::DATA_TYPE_FLOAT32, 2, 3);
  request.mutable_labels()->mutable_int64_values()->set_values(1, 3);
  ExpectRefusal({HeaderOf(request)}, "labels[1] = 3, want [0, 3)",
                "LABEL_OUT_OF_RANGE", "labels");
}

TEST(ServerStreamLimitsTest, HoldMessagesAndSummariesAgainstTheServersLimit) {
  Options options = TestOptions();
  options.max_request_bytes = 4096;
  TestServer server(options);
  const auto status_of = [&](const v1::ComputeLossRequest& request,
                             size_t chunk_bytes) {
    grpc::ClientContext context;
    const auto stream = server.stub().StreamLoss(&context);
    stream->Write(HeaderOf(request));
    stream->Write(ChunkOf(std::string(chunk_bytes, '\0')));
    stream->WritesDone();
    v1::StreamLossResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish();
  };
  v1::ComputeLossRequest request = ZerosRequest(1000, 4);
  // Two fields' tags and lengths go around a chunk: 6 bytes.
  request.mutable_labels()->set_raw("");
  request.mutable_labels()->set_data_type(v1::DATA_TYPE_INT32);
  request.mutable_logits()->set_shape(0, 500);
  request.mutable_labels()->set_shape(0, 500);
  request.mutable_labels()->set_raw(std::string(2000, '\0'));
  grpc::Status status = status_of(request, 4096 - 16);
  EXPECT_THAT(status.error_message(), HasSubstr("the stream ended after 255"));
  status = status_of(request, 4096);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(status.error_message(),
            "message of 4102 bytes, this server takes at most 4096; send fewer "
            "rows in a chunk");
  request.add_outputs(v1::OUTPUT_PROBABILITIES);
  status = status_of(request, 16);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("one message holds at most"));
}

// The caller goes away, or reads nothing, at any moment.
TEST(ServerStreamCancellationTest, LeavesNothingBehind) {
  TestServer server;
  const v1::ComputeLossRequest request =
      DrawnRequest(v1::DATA_TYPE_FLOAT32, 64, 1024);
  for (int messages = 0; messages <= 16; ++messages) {
    grpc::ClientContext context;
    const auto stream = server.stub().StreamLoss(&context);
    if (messages > 0) stream->Write(HeaderOf(request));
    for (int i = 1; i < messages; ++i) {
      stream->Write(ChunkOf(request.logits().raw().substr(0, 4 * 1024)));
    }
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  EXPECT_TRUE(server.server().Drain());
}

// 4 TiB in one row, of which the caller has a minute: known from the header.
TEST_F(ServerStreamTest, RefusesAHeaderWhoseRowsCannotBeInTime) {
  const v1::ComputeLossRequest known =
      DrawnRequest(v1::DATA_TYPE_FLOAT32, 256, 1024);
  EXPECT_TRUE(StreamInChunks(known, 256).status.ok());
  v1::ComputeLossRequest request = DrawnRequest(v1::DATA_TYPE_FLOAT32, 1, 1);
  request.mutable_logits()->set_shape(1, int64_t{1} << 40);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::minutes(1));
  const auto stream = server_.stub().StreamLoss(&context);
  ASSERT_TRUE(stream->Write(HeaderOf(request)));
  v1::StreamLossResponse response;
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(ErrorInfoOf(status).reason(), "DEADLINE_TOO_SHORT");
}

}  // namespace
}  // namespace lossd::rpc
