// The client's side of the comparison.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "tests/bench/server_model/model.h"

namespace lossd::bench {

// A channel of its own, any message size allowed.
std::shared_ptr<grpc::Channel> OpenChannel(int port);

// One call of 32x27 float32 logits at a time, answered before it returns.
// Errors: a failed call ends the program.
using Caller = std::function<void()>;
Caller MakeCaller(Model model, int port);

// Keeps `outstanding` small calls in flight for `duration`; returns calls per
// second.
double CallsPerSecond(int port, int outstanding,
                      std::chrono::milliseconds duration);

// Sends `calls` messages of `bytes` bytes at once; runs `meanwhile` while they
// are under way, then waits for all the answers.
void CallMeanwhile(int port, int calls, size_t bytes,
                   const std::function<void()>& meanwhile);

// The raw answer of server reflection to the request `message`; empty: refused.
std::string AskReflection(int port, const std::string& message);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_
