// The exponential that the rounding tests rest on, over every float32 from 0
// down to -104: every float16 and bfloat16 there is one of these.
#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/compute/exp_errors.h"

namespace lossd::testing {
namespace {

TEST(FastExpTest, KeepsItsErrorBoundOverEveryFloat32) {
  constexpr uint32_t kBlock = 1 << 22;
  constexpr uint32_t kEnd = std::bit_cast<uint32_t>(104.0f) + 1;
  std::atomic<uint32_t> next{0};
  std::mutex mutex;
  ExpErrors errors;
  const auto work = [&] {
    for (uint32_t first; (first = next.fetch_add(kBlock)) < kEnd;) {
      const ExpErrors part =
          FastExpErrorsOfFloats(first, std::min(first + kBlock, kEnd), 1);
      const std::lock_guard<std::mutex> lock(mutex);
      errors.Add(part);
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency());
       ++i) {
    threads.emplace_back(work);
  }
  for (std::thread& thread : threads) thread.join();
  std::cout << errors.checked << " exponentials, worst error " << errors.worst
            << " of the bound\n";
  EXPECT_GE(errors.checked, int64_t{kEnd});
  EXPECT_EQ(errors.failures, 0);
  EXPECT_LT(errors.worst, 1.0);
  EXPECT_GT(errors.worst, 0.5) << "the bound could be tighter";
}

}  // namespace
}  // namespace lossd::testing
