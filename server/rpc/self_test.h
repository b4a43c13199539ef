// A numeric self-test: known answers before the first caller's.
#ifndef LOSSD_SERVER_RPC_SELF_TEST_H_
#define LOSSD_SERVER_RPC_SELF_TEST_H_

#include "absl/status/status.h"
#include "server/compute/thread_pool.h"

namespace lossd::rpc {

// Runs rows with known losses and gradients through the active kernel, in
// float32 and float64, short and long enough for whole vectors.
//
// Errors: Internal naming the first row that is off, with both numbers.
absl::Status RunSelfTest(compute::ThreadPool& pool);

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_SELF_TEST_H_
