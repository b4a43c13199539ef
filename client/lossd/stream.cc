#include "client/lossd/stream.h"

#include <grpcpp/completion_queue.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

// One call. A read is always under way, and a write until all is sent; the next
// message is made ready while one is written.
class Stream {
 public:
  Stream(const StreamPlan& plan, RequestMemory& memory,
         grpc::ClientContext& context, v1::ComputeLossResponse* summary)
      : plan_(plan), memory_(memory), context_(context), summary_(summary) {}

  grpc::Status Run(grpc::GenericStub& stub, const std::string& method);

 private:
  // What has ended, as a tag of the queue.
  enum class Step : intptr_t { kStarted, kWritten, kRead, kFinished };

  void* Begin(Step step) {
    ++under_way_;
    return reinterpret_cast<void*>(static_cast<intptr_t>(step));
  }
  void OnEnd(Step step, bool ok);
  void OnWritten();
  void OnRead();

  void Write();
  void PrepareChunk();
  void Read() { call_->Read(&incoming_, Begin(Step::kRead)); }

  absl::Status TakeAnswer();
  absl::Status TakeGradient(const StreamAnswer& answer);
  absl::Status TakeSummary();
  void Report(int64_t rows_done) {
    if (plan_.progress) plan_.progress(rows_done, plan_.rows);
  }
  bool wants_gradient() const { return !plan_.gradient.empty(); }
  size_t GradientRowBytes() const {
    return plan_.gradient.size() / static_cast<size_t>(plan_.rows);
  }

  const StreamPlan& plan_;
  RequestMemory& memory_;
  grpc::ClientContext& context_;
  v1::ComputeLossResponse* const summary_;

  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  int under_way_ = 0;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer next_;      // to be written
  int64_t rows_prepared_ = 0;  // in `next_` and in all before
  int64_t rows_writing_ = 0;   // the same of what is being written
  int64_t rows_answered_ = 0;  // whose gradient came
  bool is_writing_ = false;
  bool has_summary_ = false;
  absl::Status error_;  // what was wrong with the answers
  grpc::Status status_;
};

grpc::Status Stream::Run(grpc::GenericStub& stub, const std::string& method) {
  call_ = stub.PrepareCall(&context_, method, &queue_);
  call_->StartCall(Begin(Step::kStarted));
  void* tag = nullptr;
  bool ok = false;
  while (under_way_ > 0) {
    queue_.Next(&tag, &ok);
    --under_way_;
    OnEnd(static_cast<Step>(reinterpret_cast<intptr_t>(tag)), ok);
  }
  queue_.Shutdown();
  queue_.Next(&tag, &ok);
  if (!error_.ok()) {
    return {grpc::StatusCode::INTERNAL, std::string(error_.message())};
  }
  if (!status_.ok() || has_summary_) return status_;
  return {grpc::StatusCode::INTERNAL,
          absl::StrCat("the server ended the stream without a summary, ",
                       rows_writing_, " of ", plan_.rows, " rows sent")};
}

void Stream::OnEnd(Step step, bool ok) {
  switch (step) {
    case Step::kStarted:
      if (ok) {
        next_ = plan_.header;
        Write();
        Read();
      } else {
        call_->Finish(&status_, Begin(Step::kFinished));
      }
      return;
    case Step::kWritten:
      is_writing_ = false;
      // The call is over where it failed: reading tells how.
      if (ok) OnWritten();
      return;
    case Step::kRead:
      if (ok) {
        OnRead();
      } else {
        call_->Finish(&status_, Begin(Step::kFinished));
      }
      return;
    case Step::kFinished:
      // A message that the server will not read any more.
      if (is_writing_) context_.TryCancel();
      return;
  }
}

void Stream::OnWritten() {
  if (!wants_gradient() && rows_writing_ > 0) Report(rows_writing_);
  if (rows_writing_ < plan_.rows) Write();
}

void Stream::Write() {
  is_writing_ = true;
  rows_writing_ = rows_prepared_;
  void* const tag = Begin(Step::kWritten);
  if (rows_writing_ == plan_.rows) {
    call_->WriteLast(next_, grpc::WriteOptions(), tag);
    next_.Clear();
  } else {
    call_->Write(next_, tag);
    PrepareChunk();
  }
}

void Stream::PrepareChunk() {
  const size_t row_bytes = plan_.logits.size() / plan_.rows;
  const int64_t rows = std::min(plan_.chunk_rows, plan_.rows - rows_prepared_);
  next_ = StreamChunkBytes(
      plan_.logits.substr(rows_prepared_ * row_bytes, rows * row_bytes),
      memory_);
  rows_prepared_ += rows;
}

void Stream::OnRead() {
  // Whatever comes after an error was on its way already.
  if (error_.ok()) {
    error_ = TakeAnswer();
    if (!error_.ok()) context_.TryCancel();
  }
  incoming_.Clear();
  Read();
}

absl::Status Stream::TakeAnswer() {
  if (has_summary_) {
    return absl::InternalError("the server answered more after its summary");
  }
  absl::Span<char> room;
  if (wants_gradient()) {
    room = plan_.gradient.subspan(rows_answered_ * GradientRowBytes());
  }
  const absl::StatusOr<StreamAnswer> answer =
      ReadStreamAnswer(incoming_, room, plan_.fields, summary_);
  if (!answer.ok()) return answer.status();
  switch (answer->kind) {
    case v1::StreamLossResponse::kGradientChunk:
      return TakeGradient(*answer);
    case v1::StreamLossResponse::kSummary:
      return TakeSummary();
    case v1::StreamLossResponse::MESSAGE_NOT_SET:
      break;
  }
  return absl::InternalError(
      "the server answered neither a gradient chunk nor a summary");
}

absl::Status Stream::TakeGradient(const StreamAnswer& answer) {
  if (!wants_gradient()) {
    return absl::InternalError(
        "the server answered a gradient chunk, want none");
  }
  if (answer.first_row != rows_answered_) {
    return absl::InternalError(
        absl::StrCat("the server answered a gradient chunk from row ",
                     answer.first_row, ", want row ", rows_answered_));
  }
  const size_t row_bytes = GradientRowBytes();
  const auto rows = static_cast<int64_t>(answer.gradient_bytes / row_bytes);
  if (rows == 0 || answer.gradient_bytes % row_bytes != 0 ||
      rows > rows_writing_ - rows_answered_) {
    return absl::InternalError(absl::StrCat(
        "the server answered ", answer.gradient_bytes,
        " bytes of gradient from row ", rows_answered_,
        ", want a positive multiple of ", row_bytes, " up to ",
        (rows_writing_ - rows_answered_) * static_cast<int64_t>(row_bytes),
        ", the rows sent"));
  }
  rows_answered_ += rows;
  Report(rows_answered_);
  return absl::OkStatus();
}

absl::Status Stream::TakeSummary() {
  const int64_t rows = wants_gradient() ? rows_answered_ : rows_writing_;
  if (rows < plan_.rows) {
    return absl::InternalError(
        absl::StrCat("the server sent its summary after ", rows, " of ",
                     plan_.rows, " rows"));
  }
  has_summary_ = true;
  if (plan_.rows == 0) Report(0);
  return absl::OkStatus();
}

}  // namespace

grpc::Status StreamOnce(grpc::GenericStub& stub, const std::string& method,
                        grpc::ClientContext& context, const StreamPlan& plan,
                        RequestMemory& memory,
                        v1::ComputeLossResponse* summary) {
  return Stream(plan, memory, context, summary).Run(stub, method);
}

}  // namespace lossd
