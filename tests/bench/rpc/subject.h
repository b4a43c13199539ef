// Servers that get the same request, call by call in turn.
#ifndef LOSSD_TESTS_BENCH_RPC_SUBJECT_H_
#define LOSSD_TESTS_BENCH_RPC_SUBJECT_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/bench/support/raw_caller.h"

namespace lossd::bench {

struct Latency {
  size_t calls = 0;
  double p50_ms = 0;
  double p90_ms = 0;
  double p99_ms = 0;
};

// REQUIRES: `times_ms` is not empty.
Latency Summarize(std::vector<double> times_ms);

// One server, the request that it gets, and its times.
class Subject {
 public:
  // `name` is for messages.
  Subject(std::string name, const std::shared_ptr<grpc::Channel>& channel,
          const char* path, const std::string& request);

  // The first call; the length of its answer is the one that all must have.
  // Errors: what the server answers.
  absl::StatusOr<std::string> Look();

  // Errors: what the server answers; Internal: an answer of another length.
  absl::Status Call();

  // Keeps the last call's time.
  void Keep() { times_ms_.push_back(last_ms_); }

  // Of a request and its answer.
  size_t bytes() const { return request_.Length() + want_length_; }
  // REQUIRES: a time was kept.
  Latency latency() const { return Summarize(times_ms_); }

 private:
  absl::Status Check(const RawAnswer& answer) const;

  const std::string name_;
  RawCaller caller_;
  const grpc::ByteBuffer request_;
  size_t want_length_ = 0;
  double last_ms_ = 0;
  std::vector<double> times_ms_;
};

// Calls `subjects` in turn for `seconds` and so many rounds at least, and keeps
// the times or not.
absl::Status Alternate(const std::vector<Subject*>& subjects, double seconds,
                       int least_rounds, bool keep);

// Calls that warm up, not kept.
absl::Status WarmUp(const std::vector<Subject*>& subjects);

// A first round that is not kept, since whatever ran before leaves caches and
// free memory as it likes, then calls that are, for `seconds`.
absl::Status Slice(const std::vector<Subject*>& subjects, double seconds);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_RPC_SUBJECT_H_
