// Requests that tests share.
#ifndef LOSSD_TESTS_E2E_REQUESTS_H_
#define LOSSD_TESTS_E2E_REQUESTS_H_

#include <cstdint>

#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// rows x classes float32 logits and INT64 labels, both raw; valid.
v1::ComputeLossRequest MakeRequest(int64_t rows, int64_t classes);

// The same, written with float_values and int64_values.
v1::ComputeLossRequest MakeValuesRequest(int64_t rows, int64_t classes);

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_REQUESTS_H_
