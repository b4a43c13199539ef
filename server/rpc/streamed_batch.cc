#include "server/rpc/streamed_batch.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "server/compute/loss_stream.h"
#include "server/rpc/convert.h"
#include "server/rpc/errors.h"
#include "server/rpc/wire/requests.h"
#include "server/rpc/wire/responses.h"

namespace lossd::rpc {
namespace {

absl::Status WrongMessage(std::string_view reason, std::string_view field,
                          int64_t message, std::string_view is,
                          std::string_view want) {
  return Invalid(
      reason, field,
      fmt::format("message {} of the stream is {}, want {}", message, is, want),
      {{"message", std::to_string(message)},
       {"is", std::string(is)},
       {"want", std::string(want)}});
}

// Errors of a chunk, which begins at `row`.
absl::Status WrongChunk(std::string_view reason, int64_t row, int64_t bytes,
                        const std::string& want) {
  return Invalid(
      reason, "chunk.raw",
      fmt::format("chunk.raw: {} bytes at row {}, want {}", bytes, row, want),
      {{"bytes", std::to_string(bytes)},
       {"row", std::to_string(row)},
       {"want", want}});
}

}  // namespace

// What the header said, and how far its batch has come. Views into itself.
struct StreamedBatch::Header {
  explicit Header(wire::ReceivedMessage message_in)
      : message(std::move(message_in)) {}

  wire::ReceivedMessage message;
  wire::LossRequest request;
  LossQuery query;
  bool wants_gradient = false;
  wire::LossResponse summary;
  std::optional<compute::LossStream> stream;
};

StreamedBatch::StreamedBatch(compute::ThreadPool& pool,
                             int64_t max_summary_bytes, ComputedWork& computed)
    : pool_(pool), max_summary_bytes_(max_summary_bytes), computed_(computed) {}

StreamedBatch::~StreamedBatch() = default;

int64_t StreamedBatch::RowBytes() const {
  const BatchView& batch = header_->query.batch;
  return batch.classes * compute::ElementBytes(batch.logits_type);
}

int64_t StreamedBatch::bytes_left() const {
  if (header_ == nullptr || header_->stream->rows_left() == 0) return 0;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const int64_t rows = header_->stream->rows_left();
  return rows > kMost / RowBytes() ? kMost : rows * RowBytes();
}

bool StreamedBatch::is_complete() const {
  return header_ != nullptr && header_->stream->rows_left() == 0;
}

absl::StatusOr<std::optional<grpc::ByteBuffer>> StreamedBatch::Take(
    grpc::ByteBuffer& message, compute::StopCheck stop_check) {
  ++messages_;
  wire::ReceivedMessage received(message);
  std::optional<wire::StreamRequest> request =
      wire::ParseStreamRequest(received.pieces());
  if (!request) {
    return NotAMessage(v1::StreamLossRequest::descriptor()->full_name());
  }
  const bool is_first = header_ == nullptr;
  if (auto* const header = std::get_if<wire::LossRequest>(&*request)) {
    if (!is_first) {
      return WrongMessage("SECOND_HEADER", "header", messages_, "a header",
                          "a chunk: the one header comes first");
    }
    header_ = std::make_unique<Header>(std::move(received));
    header_->request = std::move(*header);
    const absl::Status status = Start();
    if (!status.ok()) return status;
    return std::nullopt;
  }
  if (auto* const chunk = std::get_if<wire::Bytes>(&*request)) {
    if (is_first) {
      return WrongMessage("NO_HEADER", "header", messages_, "a chunk",
                          "a header");
    }
    return Compute(*chunk, stop_check);
  }
  return WrongMessage("EMPTY_MESSAGE", "", messages_, "empty",
                      is_first ? "a header" : "a chunk");
}

absl::Status StreamedBatch::Start() {
  Header& header = *header_;
  absl::StatusOr<LossQuery> query =
      LossQueryFromProto(header.request, LogitsSource::kChunks);
  if (!query.ok()) return query.status();
  header.query = *std::move(query);
  // The gradient goes out with the chunks.
  header.wants_gradient = std::exchange(header.query.wanted.gradient, false);
  absl::StatusOr<compute::LossOutputs> outputs =
      LossOutputsToProto(header.query, header.summary, max_summary_bytes_);
  if (!outputs.ok()) return outputs.status();
  absl::StatusOr<compute::LossStream> stream =
      compute::LossStream::Start(header.query.loss.spec, header.query.options,
                                 header.query.batch.batch(), *outputs);
  if (!stream.ok()) return stream.status();
  header.stream.emplace(*std::move(stream));
  return absl::OkStatus();
}

absl::StatusOr<std::optional<grpc::ByteBuffer>> StreamedBatch::Compute(
    const wire::Bytes& chunk, compute::StopCheck stop_check) {
  const BatchView& batch = header_->query.batch;
  compute::LossStream& stream = *header_->stream;
  const int64_t first_row = stream.next_row();
  const auto bytes = static_cast<int64_t>(chunk.size());
  if (stream.rows_left() == 0) {
    return WrongChunk(
        "TOO_MANY_ROWS", first_row, bytes,
        fmt::format("none: the header announced {} rows", batch.rows));
  }
  const int64_t row_bytes = RowBytes();
  if (bytes == 0 || bytes % row_bytes != 0) {
    return WrongChunk(
        bytes == 0 ? "EMPTY_CHUNK" : "SPLIT_ROW", first_row, bytes,
        fmt::format("a positive multiple of {}, a row's", row_bytes));
  }
  const int64_t rows = bytes / row_bytes;
  if (rows > stream.rows_left()) {
    return WrongChunk("TOO_MANY_ROWS", first_row, bytes,
                      fmt::format("at most {}: the header announced {} rows",
                                  stream.rows_left() * row_bytes, batch.rows));
  }
  wire::Buffer gradient;
  if (header_->wants_gradient) {
    gradient = wire::Buffer(rows * batch.classes *
                            compute::ElementBytes(batch.gradient_type));
  }
  const absl::Status status =
      stream.Add(rows, chunk.pieces(), gradient.bytes(), pool_, stop_check);
  if (!status.ok()) return status;
  computed_.Add(rows, batch.classes);
  if (!header_->wants_gradient) return std::nullopt;
  return wire::SerializeGradientChunk(first_row, std::move(gradient)).Release();
}

grpc::ByteBuffer StreamedBatch::Summary() {
  LossSummaryToProto(header_->query, header_->stream->Summary(),
                     header_->summary);
  return wire::SerializeSummary(std::move(header_->summary)).Release();
}

absl::Status StreamedBatch::StatusAtEnd() const {
  if (is_complete()) return absl::OkStatus();
  if (header_ == nullptr) return NoRequestMessage();
  const int64_t rows = header_->stream->next_row();
  const int64_t want = header_->query.batch.rows;
  return Invalid(
      "TOO_FEW_ROWS", "chunk.raw",
      fmt::format("the stream ended after {} rows, want {}: the "
                  "header announced them",
                  rows, want),
      {{"rows", std::to_string(rows)}, {"want", std::to_string(want)}});
}

}  // namespace lossd::rpc
