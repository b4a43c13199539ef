// What lossctl bench prints.
#ifndef LOSSD_CLIENT_LOSSCTL_BENCH_REPORT_H_
#define LOSSD_CLIENT_LOSSCTL_BENCH_REPORT_H_

#include <cstdint>
#include <string>

#include "client/lossctl/command.h"
#include "client/lossctl/load.h"

namespace lossd::lossctl {

// What was measured.
struct BenchSubject {
  std::string target;
  int64_t rows = 0;
  int64_t classes = 0;
  std::string data_type;  // "float32" or "float64"
  std::string loss;
  LoadPlan plan;
  int64_t bytes_per_call = 0;  // of tensors, both ways
};

// A line, without its end, for a terminal while the load runs.
std::string ProgressLine(const LoadProgress& progress);

// Lines for people, each with its end. Latencies are those of the calls that
// the throughput is of; errors are of the whole run.
std::string BenchText(const BenchSubject& subject, const LoadReport& report);

// The same for programs; quantiles are null where no call succeeded.
Json BenchJson(const BenchSubject& subject, const LoadReport& report);

}  // namespace lossd::lossctl

#endif  // LOSSD_CLIENT_LOSSCTL_BENCH_REPORT_H_
