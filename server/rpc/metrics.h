// What the server counts and measures, for Prometheus. docs/operations.md has
// every metric's meaning.
#ifndef LOSSD_SERVER_RPC_METRICS_H_
#define LOSSD_SERVER_RPC_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/rpc/phase_times.h"

namespace lossd::rpc {

// Durations by the bucket they fall into. The library's histogram takes a mutex
// for each of them. Any thread.
class DurationHistogram {
 public:
  // The buckets' upper bounds, themselves included, in seconds; one more takes
  // what is longer.
  static constexpr std::array<double, 19> kBounds = {
      1e-5,   2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2,
      2.5e-2, 5e-2,   0.1,  0.25, 0.5,    1,    2.5,  5,      10};

  void Observe(std::chrono::nanoseconds duration);
  prometheus::ClientMetric::Histogram Collect() const;

 private:
  std::array<std::atomic<uint64_t>, kBounds.size() + 1> counts_{};
  std::atomic<int64_t> sum_ns_{0};
};

// What others count, at one moment.
struct ServerState {
  bool is_serving = false;
  int64_t calls_in_flight = 0;
  int64_t calls_waiting = 0;
  int64_t reserved_bytes = 0;
  int64_t budget_bytes = 0;
  int64_t computed_rows = 0;
  int64_t computed_logits = 0;
};

// Threads: all members may be called from any thread. Cost: what is done for
// every call takes no lock and looks nothing up by name.
class Metrics {
 public:
  // `methods` by number.
  Metrics(const std::vector<std::string>& methods, const std::string& version,
          const std::string& kernel);

  // An ended call of `method`.
  void CountCall(size_t method, absl::StatusCode code) {
    calls_[method * kCodes + static_cast<size_t>(code)]->Increment();
  }
  // One of them, that was refused for `reason`, of its ErrorInfo. Takes a lock.
  void CountRefusal(const std::string& reason);
  // A message's bytes.
  void CountReceived(size_t bytes) {
    received_bytes_->Increment(ToDouble(bytes));
  }
  void CountSent(size_t bytes) { sent_bytes_->Increment(ToDouble(bytes)); }
  // A call's time in the phases that it came to; every call has a time in the
  // queue, be it 0.
  void Observe(const PhaseTimes& times);

  // All of it in Prometheus's text format.
  std::string Text(const ServerState& state) const;

  static constexpr char kContentType[] = "text/plain; version=0.0.4";

 private:
  static constexpr size_t kCodes = 17;  // kOk to kUnauthenticated

  static double ToDouble(size_t bytes) { return static_cast<double>(bytes); }
  prometheus::MetricFamily PhaseFamily() const;

  prometheus::Registry registry_;
  // Of the registry, by method and code.
  std::vector<prometheus::Counter*> calls_;
  prometheus::Family<prometheus::Counter>* refusals_;
  prometheus::Counter* received_bytes_;
  prometheus::Counter* sent_bytes_;
  std::array<DurationHistogram, kPhases> phases_;
};

}  // namespace lossd::rpc

#endif  // LOSSD_SERVER_RPC_METRICS_H_
