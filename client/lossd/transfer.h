#ifndef LOSSD_CLIENT_LOSSD_TRANSFER_H_
#define LOSSD_CLIENT_LOSSD_TRANSFER_H_

#include "absl/status/statusor.h"
#include "client/lossd/connection.h"
#include "client/lossd/options.h"

namespace lossd {

// Computes `batch` over `connection`, in one message or in chunks as
// `call.transfer` says; Client::ComputeLoss has the contract. kAuto goes from
// one to the other where the server refuses the first: to chunks at a message
// too large for it, to one message where it has no StreamLoss.
template <typename T, typename G>
absl::StatusOr<LossSummary> TransferLoss(Connection& connection,
                                         const Batch<T>& batch,
                                         const LossOptions& options,
                                         const CallOptions& call,
                                         const LossOutputs<T, G>& outputs);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_TRANSFER_H_
