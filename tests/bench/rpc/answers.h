// What the measured servers answer, looked at once before the clock runs.
#ifndef LOSSD_TESTS_BENCH_RPC_ANSWERS_H_
#define LOSSD_TESTS_BENCH_RPC_ANSWERS_H_

#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// The loss in lossd's answer to `payload`, serialized.
// Errors: Internal: it does not parse, has no finite loss, or no float32
//   gradient of the logits' shape.
absl::StatusOr<double> LossOfServiceAnswer(const Payload& payload,
                                           const std::string& bytes);

// The message of torch_service.py for what `request`, of DrawRequest, holds:
// rows and classes as int64, int64 labels, float32 logits.
std::string TorchRequest(const v1::ComputeLossRequest& request);

// The loss in torch_service.py's answer: a float64 loss, then the gradient.
// Errors: Internal: a wrong length or a loss that is not finite.
absl::StatusOr<double> LossOfTorchAnswer(const Payload& payload,
                                         const std::string& bytes);

// Errors: Internal: the two do not agree to float32's precision.
absl::Status CheckSameLoss(double service_loss, double torch_loss);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_ANSWERS_H_
