#ifndef LOSSD_CLIENT_LOSSD_CONVERT_H_
#define LOSSD_CLIENT_LOSSD_CONVERT_H_

#include <grpcpp/support/byte_buffer.h>

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lossd/batch_request.h"
#include "client/lossd/options.h"
#include "client/lossd/wire.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Checks the sizes of `batch`, of the loss's weights and of `outputs` and fills
// an empty `request` with what they ask for, all but the logits' elements. T
// and G are float or double.
// Errors: InvalidArgument: rows, classes or inner out of its range; a size that
//   contradicts them; both of labels and targets, or neither.
//   ResourceExhausted: more than a message can hold of what `needs` says.
template <typename T, typename G>
absl::Status LossRequestToProto(const Batch<T>& batch,
                                const LossOptions& options,
                                const LossOutputs<T, G>& outputs,
                                const MessageNeeds& needs,
                                v1::ComputeLossRequest* request);

// The same for the product of the Hessian and `vector`, which goes to
// `product`; all but the elements of the logits and the vector.
template <typename T>
absl::Status HessianRequestToProto(
    const Batch<T>& batch, const LossOptions& options,
    absl::Span<const T> vector, absl::Span<const T> product,
    v1::ComputeHessianVectorProductRequest* request);

// Copies the tensors of `answer`, a ComputeLossResponse, into `outputs` and
// returns its numbers.
// Errors: Internal: no valid message; a tensor that was asked for is absent, or
//   has another type or length than `outputs` wants.
template <typename T, typename G>
absl::StatusOr<LossSummary> LossSummaryFromAnswer(
    const grpc::ByteBuffer& answer, const LossOutputs<T, G>& outputs);

// What a stream's summary has of `outputs`: all but the gradient.
template <typename T, typename G>
std::vector<TensorField> SummaryFields(const LossOutputs<T, G>& outputs);

// The numbers of `response`.
LossSummary LossSummaryFromProto(const v1::ComputeLossResponse& response);

ServerInfo ServerInfoFromProto(const v1::GetServerInfoResponse& response);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CONVERT_H_
