// What can be computed in time, and what cannot.
#ifndef LOSSD_SERVER_RPC_BEST_RATE_H_
#define LOSSD_SERVER_RPC_BEST_RATE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace lossd::rpc {

// The best rate at which calls of one method were computed, of late: what would
// not be done in time even at this one is not worth to begin.
//
// Threads: all members may be called from any thread.
class BestRate {
 public:
  using Duration = std::chrono::steady_clock::duration;

  // Smaller messages take what every call takes, whatever their size: they tell
  // nothing and are told nothing.
  static constexpr int64_t kLeastBytes = int64_t{512} << 10;

  // `bytes` of logits, or of a message that is mostly logits, were computed in
  // `took`. The best rate is forgotten over some hundred slower ones.
  void Observe(int64_t bytes, Duration took) {
    if (bytes < kLeastBytes || took <= Duration::zero()) return;
    const double rate =
        static_cast<double>(bytes) / static_cast<double>(took.count());
    double best = bytes_per_tick_.load(std::memory_order_relaxed);
    while (!bytes_per_tick_.compare_exchange_weak(
        best, std::max(rate, best * kMemory), std::memory_order_relaxed)) {
    }
  }

  // The least that so many bytes take; 0 where nothing is known.
  Duration LeastTime(int64_t bytes) const {
    const double best = bytes_per_tick_.load(std::memory_order_relaxed);
    if (bytes < kLeastBytes || best == 0.0) return Duration::zero();
    constexpr double kLongest = 9e18;  // ticks, below 2^63
    return Duration(static_cast<int64_t>(
        std::min(static_cast<double>(bytes) / best, kLongest)));
  }

 private:
  static constexpr double kMemory = 1.0 - 1.0 / 256;

  std::atomic<double> bytes_per_tick_{0.0};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_BEST_RATE_H_
