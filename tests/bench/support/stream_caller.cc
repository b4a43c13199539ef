#include "tests/bench/support/stream_caller.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>

#include <cmath>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/bench/support/raw_caller.h"

namespace lossd::bench {
namespace {

// The header of all chunks together, and one chunk.
std::string Header(const v1::ComputeLossRequest& drawn, int64_t chunks) {
  v1::StreamLossRequest message;
  v1::ComputeLossRequest& header = *message.mutable_header();
  const int64_t rows = drawn.logits().shape(0) * chunks;
  *header.mutable_logits()->mutable_shape() = drawn.logits().shape();
  header.mutable_logits()->set_data_type(drawn.logits().data_type());
  header.mutable_logits()->set_shape(0, rows);
  header.mutable_labels()->set_data_type(drawn.labels().data_type());
  header.mutable_labels()->add_shape(rows);
  for (int64_t i = 0; i < chunks; ++i) {
    header.mutable_labels()->mutable_raw()->append(drawn.labels().raw());
  }
  return message.SerializeAsString();
}

std::string Chunk(v1::ComputeLossRequest& drawn) {
  v1::StreamLossRequest message;
  message.mutable_chunk()->set_raw(
      std::move(*drawn.mutable_logits()->mutable_raw()));
  return message.SerializeAsString();
}

// One call. A read and a write are under way at any time.
class Stream {
 public:
  Stream(const std::string& header, const std::string& chunk, int64_t chunks)
      : header_(ToMessage(header)), chunk_(ToMessage(chunk)), chunks_(chunks) {}

  absl::StatusOr<StreamTraffic> Run(
      const std::shared_ptr<grpc::Channel>& channel) {
    grpc::GenericStub stub(channel);
    call_ = stub.PrepareCall(&context_, "/lossd.v1.LossService/StreamLoss",
                             &queue_);
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
    if (!status_.ok()) {
      return absl::Status(static_cast<absl::StatusCode>(status_.error_code()),
                          absl::StrCat("lossd: ", status_.error_message()));
    }
    return Checked();
  }

 private:
  enum class Step : intptr_t { kStarted, kWritten, kRead, kFinished };

  void* Begin(Step step) {
    ++under_way_;
    return reinterpret_cast<void*>(static_cast<intptr_t>(step));
  }

  void OnEnd(Step step, bool ok) {
    switch (step) {
      case Step::kStarted:
        Write(header_);
        Read();
        return;
      case Step::kWritten:
        if (!ok || sent_ > chunks_) return;
        return Write(chunk_);
      case Step::kRead:
        if (!ok) return call_->Finish(&status_, Begin(Step::kFinished));
        // All but the last, which is the summary, are the gradient's.
        ++answers_;
        traffic_.bytes_received += static_cast<int64_t>(incoming_.Length());
        last_ = incoming_;
        return Read();
      case Step::kFinished:
        return;
    }
  }

  void Write(const grpc::ByteBuffer& message) {
    traffic_.bytes_sent += static_cast<int64_t>(message.Length());
    void* const tag = Begin(Step::kWritten);
    if (sent_++ == chunks_) return call_->WriteLast(message, {}, tag);
    call_->Write(message, tag);
  }

  void Read() { call_->Read(&incoming_, Begin(Step::kRead)); }

  absl::StatusOr<StreamTraffic> Checked() {
    v1::StreamLossResponse last;
    if (!last.ParseFromString(ToString(last_)) || !last.has_summary() ||
        !std::isfinite(last.summary().loss()) || answers_ < 2) {
      return absl::InternalError("lossd's stream ends without a loss");
    }
    const int64_t logits = static_cast<int64_t>(chunk_.Length()) * chunks_;
    if (traffic_.bytes_received < logits) {
      return absl::InternalError(
          absl::StrCat("lossd answers ", traffic_.bytes_received, " bytes to ",
                       logits, " of logits, want as many at least"));
    }
    traffic_.loss = last.summary().loss();
    return traffic_;
  }

  const grpc::ByteBuffer header_;
  const grpc::ByteBuffer chunk_;
  const int64_t chunks_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  int under_way_ = 0;
  int64_t sent_ = 0;  // messages
  int64_t answers_ = 0;
  grpc::ByteBuffer incoming_;
  grpc::ByteBuffer last_;
  grpc::Status status_;
  StreamTraffic traffic_;
};

}  // namespace

absl::StatusOr<StreamTraffic> CallStream(
    const std::shared_ptr<grpc::Channel>& channel, const Payload& chunk,
    int64_t chunks) {
  v1::ComputeLossRequest drawn = DrawRequest(chunk);
  const std::string header = Header(drawn, chunks);
  return Stream(header, Chunk(drawn), chunks).Run(channel);
}

}  // namespace lossd::bench
