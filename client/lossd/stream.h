#ifndef LOSSD_CLIENT_LOSSD_STREAM_H_
#define LOSSD_CLIENT_LOSSD_STREAM_H_

#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "client/lossd/request_memory.h"
#include "client/lossd/wire.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// What a stream sends, and where its answers go. Views that outlive it.
struct StreamPlan {
  grpc::ByteBuffer header;          // its first message
  std::string_view logits;          // of `rows` rows
  int64_t rows = 0;                 // >= 0
  int64_t chunk_rows = 1;           // in each message but the last, >= 1
  absl::Span<char> gradient;        // of `rows` rows; empty: not wanted
  std::vector<TensorField> fields;  // of the summary
  std::function<void(int64_t rows_done, int64_t rows)> progress;  // or none
};

// Calls `method`, a StreamLoss, once: sends and receives at the same time, on
// the calling thread. `summary` gets what is none of the plan's fields.
//
// Errors: the server's own. INTERNAL: gradient chunks that are not those of the
//   batch's rows, in order and to the last; no summary, or anything after it.
// Cost: copies each row once on its way out and each of the gradient once on
//   its way in; memory of two chunks, beside what gRPC has under way.
grpc::Status StreamOnce(grpc::GenericStub& stub, const std::string& method,
                        grpc::ClientContext& context, const StreamPlan& plan,
                        RequestMemory& memory,
                        v1::ComputeLossResponse* summary);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_STREAM_H_
