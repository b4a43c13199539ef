#include "client/lossd/transfer.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/lossd/batch_request.h"
#include "client/lossd/convert.h"
#include "client/lossd/wire.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {
namespace {

// Where streams begin: from here on memory is bounded on both sides. Speed
// against one message, loss and gradient, on 2 busy cores: the same at 4 MiB,
// 0.65 to 0.8 at 8, the same at 16, 2.5 to 2.9 at 50.
constexpr int64_t kMinStreamedBytes = int64_t{4} << 20;
constexpr int64_t kChunkBytes = int64_t{1} << 20;

// One ComputeLoss on its way.
template <typename T, typename G>
class LossTransfer {
 public:
  LossTransfer(Connection& connection, const Batch<T>& batch,
               const LossOptions& options, const CallOptions& call,
               const LossOutputs<T, G>& outputs)
      : connection_(connection),
        batch_(batch),
        options_(options),
        call_(call),
        outputs_(outputs),
        can_stream_(call.transfer != Transfer::kUnary && CheckStream().ok()) {}

  absl::StatusOr<LossSummary> Run();

 private:
  // Errors: InvalidArgument: why this cannot be a stream.
  absl::Status CheckStream() const;
  absl::Status FillRequest(v1::ComputeLossRequest* request) const {
    return LossRequestToProto(batch_, options_, outputs_,
                              {.one_row = can_stream_}, request);
  }
  int64_t LogitsBytes() const {
    return static_cast<int64_t>(RawBytes(batch_.logits).size());
  }
  // How many rows a message holds, of the usual length or as the server wants.
  int64_t ChunkRows() const;

  absl::StatusOr<LossSummary> Unary(v1::ComputeLossRequest request);
  absl::StatusOr<LossSummary> Stream(v1::ComputeLossRequest request);

  Connection& connection_;
  const Batch<T>& batch_;
  const LossOptions& options_;
  const CallOptions& call_;
  const LossOutputs<T, G>& outputs_;
  const bool can_stream_;
};

template <typename T, typename G>
absl::Status LossTransfer<T, G>::CheckStream() const {
  if (batch_.inner != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("inner = ", batch_.inner,
                     ", want 1 for a stream: its chunks are of whole rows"));
  }
  if (!outputs_.probabilities.empty() || !outputs_.log_probabilities.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        outputs_.probabilities.empty() ? "log_probabilities" : "probabilities",
        " were asked of a stream, want none: they are one message"));
  }
  return absl::OkStatus();
}

template <typename T, typename G>
int64_t LossTransfer<T, G>::ChunkRows() const {
  if (batch_.rows == 0) return 1;
  const int64_t row_bytes = batch_.classes * int64_t{sizeof(T)};
  const int64_t most =
      std::min(kChunkBytes, connection_.max_request_bytes() - kChunkHeadBytes);
  return std::max(int64_t{1}, most / row_bytes);
}

template <typename T, typename G>
absl::StatusOr<LossSummary> LossTransfer<T, G>::Unary(
    v1::ComputeLossRequest request) {
  const auto answer = connection_.Call(
      "ComputeLoss",
      LossRequestBytes(std::move(request), RawBytes(batch_.logits),
                       connection_.memory()),
      call_.deadline);
  if (!answer.ok()) return answer.status();
  auto summary = LossSummaryFromAnswer(*answer, outputs_);
  if (summary.ok() && call_.progress) call_.progress(batch_.rows, batch_.rows);
  return summary;
}

template <typename T, typename G>
absl::StatusOr<LossSummary> LossTransfer<T, G>::Stream(
    v1::ComputeLossRequest request) {
  StreamPlan plan = {
      .header = StreamHeaderBytes(std::move(request)),
      .logits = RawBytes(batch_.logits),
      .rows = batch_.rows,
      .chunk_rows = ChunkRows(),
      .gradient = {reinterpret_cast<char*>(outputs_.gradient.data()),
                   outputs_.gradient.size() * sizeof(G)},
      .fields = SummaryFields(outputs_),
      .progress = call_.progress};
  for (;;) {
    v1::ComputeLossResponse response;
    const absl::Status status =
        connection_.Stream(plan, call_.deadline, &response);
    if (status.ok()) return LossSummaryFromProto(response);
    // Again, if that makes any message smaller that was too large.
    if (!connection_.LearnLimit(status)) return status;
    const int64_t rows = ChunkRows();
    const auto header_bytes = static_cast<int64_t>(plan.header.Length());
    if (rows >= plan.chunk_rows ||
        header_bytes > connection_.max_request_bytes()) {
      return status;
    }
    plan.chunk_rows = rows;
  }
}

template <typename T, typename G>
absl::StatusOr<LossSummary> LossTransfer<T, G>::Run() {
  if (call_.transfer == Transfer::kStream && !can_stream_) {
    return CheckStream();
  }
  v1::ComputeLossRequest request;
  const absl::Status status = FillRequest(&request);
  if (!status.ok()) return status;
  if (!can_stream_) return Unary(std::move(request));
  if (call_.transfer == Transfer::kStream) return Stream(std::move(request));

  const int64_t bytes =
      static_cast<int64_t>(request.ByteSizeLong()) + LogitsBytes();
  const bool goes_whole = LogitsBytes() < kMinStreamedBytes &&
                          bytes <= connection_.max_request_bytes();
  auto summary =
      goes_whole ? Unary(std::move(request)) : Stream(std::move(request));
  if (summary.ok()) return summary;
  // Made again: it is rarely needed and can be as large as the logits.
  v1::ComputeLossRequest again;
  if (goes_whole && connection_.LearnLimit(summary.status())) {
    FillRequest(&again).IgnoreError();
    return Stream(std::move(again));
  }
  if (!goes_whole && absl::IsUnimplemented(summary.status()) &&
      bytes <= kMaxMessageBytes) {
    FillRequest(&again).IgnoreError();
    return Unary(std::move(again));
  }
  return summary;
}

}  // namespace

template <typename T, typename G>
absl::StatusOr<LossSummary> TransferLoss(Connection& connection,
                                         const Batch<T>& batch,
                                         const LossOptions& options,
                                         const CallOptions& call,
                                         const LossOutputs<T, G>& outputs) {
  return LossTransfer<T, G>(connection, batch, options, call, outputs).Run();
}

template absl::StatusOr<LossSummary> TransferLoss(Connection&,
                                                  const Batch<float>&,
                                                  const LossOptions&,
                                                  const CallOptions&,
                                                  const LossOutputs<float>&);
template absl::StatusOr<LossSummary> TransferLoss(
    Connection&, const Batch<float>&, const LossOptions&, const CallOptions&,
    const LossOutputs<float, double>&);
template absl::StatusOr<LossSummary> TransferLoss(Connection&,
                                                  const Batch<double>&,
                                                  const LossOptions&,
                                                  const CallOptions&,
                                                  const LossOutputs<double>&);
template absl::StatusOr<LossSummary> TransferLoss(
    Connection&, const Batch<double>&, const LossOptions&, const CallOptions&,
    const LossOutputs<double, float>&);

}  // namespace lossd
