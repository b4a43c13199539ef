#ifndef LOSSD_CLIENT_LOSSD_CONVERT_H_
#define LOSSD_CLIENT_LOSSD_CONVERT_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/lossd/options.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Checks the sizes of `batch` and `outputs` and fills an empty `request` with
// what they ask for. T is float or double.
// Errors: InvalidArgument: a size that contradicts rows and classes; an unknown
//   loss or one without ignore_index. ResourceExhausted: more than the 2 GiB
//   that a message can hold.
template <typename T>
absl::Status LossRequestToProto(const Batch<T>& batch,
                                const LossOptions& options,
                                const LossOutputs<T>& outputs,
                                v1::ComputeLossRequest* request);

// Copies the tensors of `response` into `outputs` and returns its numbers.
// Errors: Internal: a tensor that was asked for is absent, or has another type
//   or length than `outputs` wants.
template <typename T>
absl::StatusOr<LossSummary> LossSummaryFromProto(
    const v1::ComputeLossResponse& response, const LossOutputs<T>& outputs);

ServerInfo ServerInfoFromProto(const v1::GetServerInfoResponse& response);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CONVERT_H_
