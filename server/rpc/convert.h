// Requests as the core takes them, and the core's results as responses. Pure:
// no gRPC, no threads, no clock.
#ifndef LOSSD_SERVER_RPC_CONVERT_H_
#define LOSSD_SERVER_RPC_CONVERT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/compute/loss.h"
#include "server/rpc/batch.h"
#include "server/rpc/class_axis.h"
#include "server/rpc/loss_spec.h"
#include "server/rpc/tensor.h"
#include "server/rpc/unbuilt.h"
#include "server/rpc/wire/requests.h"
#include "server/rpc/wire/responses.h"

namespace lossd::rpc {

// The results that a request asks for.
struct WantedOutputs {
  bool loss = false;
  bool gradient = false;
  bool row_losses = false;
  bool log_sum_exp = false;
  bool predictions = false;
  bool probabilities = false;
  bool log_probabilities = false;
};

// A request as the core takes it. Views into the request and into itself.
struct LossQuery {
  OwnedLossSpec loss;
  compute::LossOptions options;
  BatchView batch;
  WantedOutputs wanted;
};

// The most bytes that one protobuf message can have.
inline constexpr int64_t kMaxMessageBytes = 0x7fffffff;

// Each part of a request, alone.
//
// Errors: InvalidArgument: an enum value unknown; a divisor out of its range or
//   not for the mean.
absl::StatusOr<compute::LossOptions> LossOptionsFromProto(
    const v1::ComputeLossRequest& request);
// Errors: InvalidArgument: an output unknown or unspecified.
absl::StatusOr<WantedOutputs> WantedOutputsFromProto(
    const v1::ComputeLossRequest& request);

// Converts the whole request. The result must not outlive it.
//
// Errors: InvalidArgument as the parts above, BatchFromProto and
//   LossSpecFromProto, the first offender named; an ignore_index beside
//   probabilities as labels. Unimplemented: nothing is wrong, but this build
//   lacks a part.
absl::StatusOr<LossQuery> LossQueryFromProto(
    const wire::LossRequest& request,
    LogitsSource logits = LogitsSource::kRequest);
// The same but for the outputs, which are not looked at: none is wanted. What
// this build lacks goes to `unbuilt`; the result is then not to be used.
absl::StatusOr<LossQuery> BaseQueryFromProto(const wire::LossRequest& request,
                                             LogitsSource logits,
                                             Unbuilt& unbuilt);

// The memory that it takes to compute `query` on so many threads, in bytes,
// beside the request's own: the response, tensors whose classes are not last
// once more, and each thread's scratch for a row.
int64_t MemoryBytes(const LossQuery& query, int threads);

// Room in a response for everything beside its tensors' bytes.
int64_t ResponseOverheadBytes(const BatchView& batch);

// Room for `elements` of a response's tensor, the field of this number.
wire::OutgoingTensor AllocateTensor(int field, Shape shape,
                                    v1::DataType data_type, int64_t elements);

// Gives `response` the tensors that `query` asks for and returns where the core
// writes their contents, the classes last. Nothing is allocated for what is not
// asked for.
//
// Errors: ResourceExhausted: they would not fit into one message of
//   `max_message_bytes`.
// The result must not outlive `response`.
absl::StatusOr<compute::LossOutputs> LossOutputsToProto(
    const LossQuery& query, wire::LossResponse& response,
    int64_t max_message_bytes = kMaxMessageBytes);

// Moves the classes of what the core wrote to the request's class axis. The
// room that LossOutputsToProto returned is then no longer `response`'s.
// Cost: none where that is the last axis; one more tensor at a time otherwise.
void RestoreClassAxis(const LossQuery& query, wire::LossResponse& response);
// The same for one result.
void RestoreClassAxis(const ClassAxisLayout& layout,
                      wire::OutgoingTensor& tensor);

// Fills in the results that are single numbers.
void LossSummaryToProto(const LossQuery& query,
                        const compute::LossSummary& summary,
                        wire::LossResponse& response);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_CONVERT_H_
