// How much was computed.
#ifndef LOSSD_SERVER_RPC_COMPUTED_WORK_H_
#define LOSSD_SERVER_RPC_COMPUTED_WORK_H_

#include <atomic>
#include <cstdint>

namespace lossd::rpc {

// Rows and logits of all batches, and of all chunks of streams, whose results
// were computed. Any thread.
class ComputedWork {
 public:
  void Add(int64_t rows, int64_t classes) {
    rows_.fetch_add(rows, std::memory_order_relaxed);
    logits_.fetch_add(rows * classes, std::memory_order_relaxed);
  }

  int64_t rows() const { return rows_.load(std::memory_order_relaxed); }
  int64_t logits() const { return logits_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> rows_{0};
  std::atomic<int64_t> logits_{0};
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_COMPUTED_WORK_H_
