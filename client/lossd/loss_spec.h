#ifndef LOSSD_CLIENT_LOSSD_LOSS_SPEC_H_
#define LOSSD_CLIENT_LOSSD_LOSS_SPEC_H_

#include <cstdint>

#include "absl/status/status.h"
#include "client/lossd/losses.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Fills an empty `spec` with `loss`; options that are not set stay out.
// Errors: InvalidArgument: weights that are not `classes` many.
absl::Status LossSpecToProto(const LossSpec& loss, int64_t classes,
                             v1::LossSpec* spec);

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_LOSS_SPEC_H_
