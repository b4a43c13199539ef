// The batches that benchmarks send.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_PAYLOAD_H_
#define LOSSD_TESTS_BENCH_SUPPORT_PAYLOAD_H_

#include <cstdint>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::bench {

struct Payload {
  int64_t rows;     // >= 1
  int64_t classes;  // >= 1
};

// float32 logits, normal of scale 3, with INT32 class indices; raw and valid.
// The same for the same payload. The default loss, and its gradient, are asked
// for.
v1::ComputeLossRequest DrawRequest(const Payload& payload);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_PAYLOAD_H_
