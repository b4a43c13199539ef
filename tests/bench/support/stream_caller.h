// A whole StreamLoss from the client's side, as bytes.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_STREAM_CALLER_H_
#define LOSSD_TESTS_BENCH_SUPPORT_STREAM_CALLER_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "tests/bench/support/payload.h"

namespace lossd::bench {

// What went over the wire.
struct StreamTraffic {
  int64_t bytes_sent = 0;
  int64_t bytes_received = 0;
  double loss = 0;
};

// Streams `chunks` times the logits of DrawRequest(chunk) by StreamLoss, a
// message each, and takes the gradient's chunks in as they come; sends and
// receives at the same time, keeps neither.
// Errors: what the server answers; Internal: chunks of the gradient that are
//   not those of the logits, or no finite loss at the end.
absl::StatusOr<StreamTraffic> CallStream(
    const std::shared_ptr<grpc::Channel>& channel, const Payload& chunk,
    int64_t chunks);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_STREAM_CALLER_H_
