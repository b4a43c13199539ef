// Load on a server: calls at a given concurrency or rate.
#ifndef LOSSD_CLIENT_LOSSCTL_LOAD_H_
#define LOSSD_CLIENT_LOSSCTL_LOAD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lossd::lossctl {

struct LoadPlan {
  // Calls at a time, each on a thread of its own; >= 1. Without a rate as many
  // are always in flight (a closed loop), with one at most as many.
  int calls_in_flight = 1;
  // Calls that start per second, evenly spread, however long they take (an open
  // loop); > 0.
  std::optional<double> rate = std::nullopt;
  double warm_up_s = 1.0;
  double window_s = 1.0;
  double max_s = 60.0;  // no call starts later
};

struct ErrorCount {
  int64_t calls = 0;
  std::string first_message;
};

struct LoadReport {
  // Of the last windows (windows.h), and when they did not settle of what came
  // after them, too. Nothing but failures never settles, though the run ends.
  bool settled = false;
  double spread = 0.0;  // of their rates
  double seconds = 0.0;
  double calls_per_s = 0.0;          // that succeeded
  std::vector<double> latencies_ms;  // of these, ascending
  // Of the whole run, the warm-up included.
  double run_s = 0.0;
  int64_t succeeded = 0;
  std::map<absl::StatusCode, ErrorCount> errors;
};

// What there is to show meanwhile.
struct LoadProgress {
  double run_s = 0.0;
  bool warming_up = false;
  int64_t calls = 0;  // ended so far
  int64_t errors = 0;
  int64_t windows = 0;  // closed
  double spread = 0.0;  // of the last of them
};

// Makes calls until throughput settles, be it at none, or for `plan.max_s`;
// those in flight then are waited for and not counted. `call` gets the number
// of its thread, in [0, calls_in_flight).
//
// A call's latency counts from its intended start: where a rate asks for more
// than the server does, or than `calls_in_flight` allow, calls wait for a
// thread, and their wait shows.
//
// Threads: blocks; `call` runs on calls_in_flight threads, `progress` on this
//   one, four times a second.
LoadReport RunLoad(const LoadPlan& plan,
                   const std::function<absl::Status(int thread)>& call,
                   const std::function<void(const LoadProgress&)>& progress);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_LOAD_H_
