// The core's second door: products of a loss's Hessian and a vector.
#ifndef LOSSD_SERVER_COMPUTE_HESSIAN_H_
#define LOSSD_SERVER_COMPUTE_HESSIAN_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "server/compute/loss.h"

namespace lossd::compute {

// Whether `spec` has a second derivative here.
bool HasHessian(const LossSpec& spec);

// Fills `product` with (d2 loss / dz2) v for every row of `batch`: loss.h has
// what the parameters are, and the loss is the reduced one, times the upstream
// gradient, as for the gradient. Rows do not mix:
//
//   product_r = H_r v_r,  for softmax cross-entropy p o (v - p . v)
//
// without options; docs/losses.md has each loss's H_r.
//
// Shapes: `vector` [rows * classes] and `product` of the logits' type, all
//   sizes checked by the caller.
// Errors: those of ComputeLoss; InvalidArgument: under kReject, NaN or an
//   infinity in the vector, the first named; whatever `stop_check` returns.
// Edge cases: rows ignored or of weight 0 are 0. Under kPropagate a row with
//   NaN or +inf in its logits, or NaN or an infinity in its vector, is NaN. An
//   impossible class, of a logit of -inf, has a product of 0 for all losses
//   with probabilities, whatever its v.
// Accuracy: within 1 ulp, and where terms cancel 2^-74 to 2^-91 of them beside
//   it; docs/numerics.md says which. Equal v give exactly 0 for softmax
//   cross-entropy without a z-loss.
// Threads: as ComputeLoss; a row is one thread's.
// Cost: reads logits and vector once from memory, writes the product once;
//   scratch of 40 bytes per class and thread, kept by the thread.
// REQUIRES: HasHessian(spec).
absl::Status ComputeHessianVectorProduct(const LossSpec& spec,
                                         const LossOptions& options,
                                         const Batch& batch, Pieces vector,
                                         absl::Span<std::byte> product,
                                         ThreadPool& pool,
                                         StopCheck stop_check);

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_HESSIAN_H_
