// A call of StreamLoss.
#ifndef LOSSD_SERVER_RPC_STREAM_CALL_H_
#define LOSSD_SERVER_RPC_STREAM_CALL_H_

#include <grpcpp/alarm.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/rpc/call.h"
#include "server/rpc/streamed_batch.h"

namespace lossd::rpc {

// Three things go on at once: a message is read, the one before it is computed,
// and the answer before that is written. Each waits for the next one to have
// room, so that at most kAhead messages wait between two of them, whatever the
// batch's size and however slowly the caller reads. An error, or the end of the
// stream, ends the call once no write is under way.
class StreamCall : public Call {
 public:
  StreamCall(const CallEnvironment& environment, int method,
             grpc::ServerCompletionQueue* queue);

 private:
  void Listen(grpc::ServerContext* context, void* tag) override;
  const char* path() const override { return LossService::PathOf(method_); }
  Call* Another() const override;
  std::optional<int> loss_method() const override { return method_; }
  void Begin() override;
  void OnRoom() override;

  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnLate(bool is_late);
  // The pool's part.
  using Answers = std::vector<grpc::ByteBuffer>;
  void Compute();
  absl::StatusOr<Answers> AnswersTo(grpc::ByteBuffer& message);

  // All of the following with mutex_ held.
  //
  // Starts whatever can be started now.
  void GoOn();
  void TakeMessage(const grpc::ByteBuffer& message);
  // Reserves what a stream with such a message needs.
  absl::Status ReserveFor(int64_t message_bytes);
  // Decides the call's end, if nothing has yet.
  void End(absl::Status status);
  // Looks after a while whether the caller holds others up.
  void WatchProgress();
  // Whether nothing but the caller is waited for, since WatchProgress.
  bool IsHeldUp() const;

  const int method_;
  std::mutex mutex_;  // guards all below but batch_, which is the task's
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer outgoing_;
  std::deque<grpc::ByteBuffer> to_compute_;
  std::deque<grpc::ByteBuffer> to_write_;
  bool is_reading_ = false;
  bool is_computing_ = false;
  bool is_writing_ = false;
  bool is_read_to_end_ = false;
  bool is_finished_ = false;
  std::optional<absl::Status> end_;  // what the call is to end with
  int64_t progress_ = 0;             // messages read and answers written
  int64_t progress_seen_ = 0;        // by WatchProgress
  std::optional<grpc::Alarm> late_alarm_;
  int64_t header_bytes_ = -1;  // none yet
  int64_t largest_chunk_bytes_ = 0;
  std::unique_ptr<StreamedBatch> batch_;

  Tag read_tag_{this, [](Call& call, bool ok) {
                  static_cast<StreamCall&>(call).OnRead(ok);
                }};
  Tag written_tag_{this, [](Call& call, bool ok) {
                     static_cast<StreamCall&>(call).OnWritten(ok);
                   }};
  Tag late_tag_{this, [](Call& call, bool is_late) {
                  static_cast<StreamCall&>(call).OnLate(is_late);
                }};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_STREAM_CALL_H_
