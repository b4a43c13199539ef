#include "server/rpc/stream_call.h"

#include <chrono>
#include <new>
#include <utility>

#include "server/rpc/errors.h"

namespace lossd::rpc {
namespace {

// One message that waits keeps the next stage busy. Copies of a ByteBuffer
// share its slices.
constexpr size_t kAhead = 1;

// What a stream takes: five chunks, of which one is computed and has a result
// beside it; the header with its labels, and results of each row.
constexpr int64_t kChunksAtOnce = 6;
constexpr int64_t kHeaderCopies = 3;

// What is reserved before the first chunk: with chunks of 1 MiB, as lossd's own
// client sends them, and labels of half a million rows.
constexpr int64_t kUnknownBytes = int64_t{12} << 20;

}  // namespace

StreamCall::StreamCall(const CallEnvironment& environment, int method,
                       grpc::ServerCompletionQueue* queue)
    : Call(environment, queue),
      method_(method),
      batch_(environment.service.NewStreamedBatch()) {}

void StreamCall::Listen(grpc::ServerContext* context, void* tag) {
  environment().service.RequestCall(method_, context, &stream(), queue(), tag);
}

Call* StreamCall::Another() const {
  return new StreamCall(environment(), method_, queue());
}

void StreamCall::Begin() { AwaitRoom(kUnknownBytes); }

void StreamCall::OnRoom() {
  Hold();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (reserved_bytes() > 0) WatchProgress();
    GoOn();
  }
  Release();
}

void StreamCall::WatchProgress() {
  Hold();
  progress_seen_ = progress_;
  late_alarm_.emplace();
  late_alarm_->Set(
      queue(),
      std::chrono::system_clock::now() + environment().receive_patience,
      &late_tag_);
}

bool StreamCall::IsHeldUp() const {
  return progress_ == progress_seen_ && !is_computing_;
}

void StreamCall::OnLate(bool is_late) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (is_late && !is_finished_) {
      if (!IsHeldUp() || environment().admission.waiting() == 0) {
        WatchProgress();
      } else if (is_writing_) {
        // Its end waits for the write, and that for the caller.
        End(ReadTooSlowly(environment().receive_patience));
        Cancel();
      } else {
        End(SentTooSlowly(environment().receive_patience));
      }
      GoOn();
    }
  }
  Release();
}

void StreamCall::OnRead(bool ok) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_reading_ = false;
    ++progress_;
    phases().Stop(Phase::kReceive);
    grpc::ByteBuffer message = std::exchange(incoming_, {});
    const absl::Status status = CheckStop();
    if (!status.ok()) {
      End(status);
    } else if (end_) {
      // What comes late is not looked at.
    } else if (ok) {
      TakeMessage(message);
    } else {
      is_read_to_end_ = true;
    }
    GoOn();
  }
  Release();
}

void StreamCall::TakeMessage(const grpc::ByteBuffer& message) {
  const size_t bytes = message.Length();
  environment().metrics.CountReceived(bytes);
  if (bytes > static_cast<size_t>(environment().max_request_bytes)) {
    return End(ChunkTooLarge(bytes, environment().max_request_bytes));
  }
  const absl::Status fits = ReserveFor(static_cast<int64_t>(bytes));
  if (!fits.ok()) return End(fits);
  to_compute_.push_back(message);
}

absl::Status StreamCall::ReserveFor(int64_t message_bytes) {
  if (header_bytes_ < 0) {
    header_bytes_ = message_bytes;
  } else if (message_bytes <= largest_chunk_bytes_) {
    return absl::OkStatus();
  } else {
    largest_chunk_bytes_ = message_bytes;
  }
  const int64_t bytes = kCallBytes + kHeaderCopies * header_bytes_ +
                        kChunksAtOnce * largest_chunk_bytes_;
  // Until the first chunk tells how large they are, what was expected is kept.
  const bool is_guess = largest_chunk_bytes_ == 0 && bytes <= reserved_bytes();
  return is_guess ? absl::OkStatus() : Reserve(bytes);
}

void StreamCall::OnWritten(bool ok) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_writing_ = false;
    ++progress_;
    phases().Stop(Phase::kSend);
    outgoing_.Clear();
    // Nobody is there to read.
    if (!ok) End(CallerCancelled());
    GoOn();
  }
  Release();
}

void StreamCall::Compute() {
  grpc::ByteBuffer message;
  bool is_wanted = false;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    phases().Switch(Phase::kQueue, Phase::kCompute);
    // The call may have ended since: its messages are gone then.
    is_wanted = !to_compute_.empty();
    if (is_wanted) {
      message = to_compute_.front();
      to_compute_.pop_front();
    }
    // The next one is read meanwhile.
    GoOn();
  }
  absl::StatusOr<Answers> answers = Answers();
  if (is_wanted) answers = AnswersTo(message);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_computing_ = false;
    phases().Stop(Phase::kCompute);
    if (!answers.ok()) {
      End(answers.status());
    } else if (!end_) {
      for (grpc::ByteBuffer& answer : *answers) {
        to_write_.push_back(std::move(answer));
      }
    }
    GoOn();
  }
  Release();
}

absl::StatusOr<StreamCall::Answers> StreamCall::AnswersTo(
    grpc::ByteBuffer& message) {
  const absl::Status status = CheckStop();
  if (!status.ok()) return status;
  const size_t bytes = message.Length();
  try {
    const bool was_complete = batch_->is_complete();
    const int64_t bytes_left = batch_->bytes_left();
    const auto begin = std::chrono::steady_clock::now();
    absl::StatusOr<std::optional<grpc::ByteBuffer>> answer =
        batch_->Take(message, [this] { return CheckStop(); });
    if (!answer.ok()) return answer.status();
    rate().Observe(bytes_left - batch_->bytes_left(),
                   std::chrono::steady_clock::now() - begin);
    const absl::Status feasible = CheckFeasible(batch_->bytes_left());
    if (!feasible.ok()) return feasible;
    Answers answers;
    if (*answer) answers.push_back(**std::move(answer));
    if (batch_->is_complete() && !was_complete) {
      answers.push_back(batch_->Summary());
    }
    return answers;
  } catch (const std::bad_alloc&) {
    return OutOfMemory(bytes);
  }
}

void StreamCall::End(absl::Status status) {
  if (end_) return;
  if (!status.ok()) {
    to_compute_.clear();
    to_write_.clear();
  }
  end_ = std::move(status);
}

void StreamCall::GoOn() {
  if (is_finished_) return;
  if (is_read_to_end_ && to_compute_.empty() && !is_computing_) {
    End(batch_->StatusAtEnd());
  }
  if (!is_writing_ && !to_write_.empty()) {
    is_writing_ = true;
    outgoing_ = to_write_.front();
    to_write_.pop_front();
    environment().metrics.CountSent(outgoing_.Length());
    phases().Start(Phase::kSend);
    Hold();
    stream().Write(outgoing_, &written_tag_);
  }
  if (end_) {
    if (is_writing_ || is_computing_) return;
    is_finished_ = true;
    if (late_alarm_) late_alarm_->Cancel();
    batch_.reset();
    return Finish(*end_);
  }
  if (!is_computing_ && !to_compute_.empty() && to_write_.size() < kAhead) {
    is_computing_ = true;
    phases().Start(Phase::kQueue);
    Hold();
    environment().pool.Submit([this] { Compute(); });
  }
  if (!is_reading_ && !is_read_to_end_ && to_compute_.size() < kAhead) {
    is_reading_ = true;
    phases().Start(Phase::kReceive);
    Hold();
    stream().Read(&incoming_, &read_tag_);
  }
}

}  // namespace lossd::rpc
