// The client's side of the comparison.
#ifndef LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_
#define LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "tests/bench/server_model/model.h"
#include "tests/bench/support/idle.h"

namespace lossd::bench {

// Calls of 32x27 float32 logits, one at a time, of the server at `address`
// ("127.0.0.1:PORT"). Of this and of what follows:
// Errors: a failed call ends the program.
Caller MakeCaller(Model model, const std::string& address);

// Keeps `outstanding` small calls in flight for `duration`; returns calls per
// second.
double CallsPerSecond(const std::string& address, int outstanding,
                      std::chrono::milliseconds duration);

// Sends `calls` messages of `bytes` bytes at once; runs `meanwhile` while they
// are under way, then waits for all the answers.
void CallMeanwhile(const std::string& address, int calls, size_t bytes,
                   const std::function<void()>& meanwhile);

// The raw answer of server reflection to the request `message`; empty: refused.
std::string AskReflection(const std::string& address,
                          const std::string& message);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SERVER_MODEL_CALLER_H_
