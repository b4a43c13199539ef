// Callers that keep a lossd busy, and what they got.
#ifndef LOSSD_TESTS_E2E_FAULT_LOAD_H_
#define LOSSD_TESTS_E2E_FAULT_LOAD_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "client/lossd/client.h"

namespace lossd {

// A batch whose loss is known.
struct KnownBatch {
  KnownBatch(int64_t rows, int64_t classes);

  int64_t rows;
  int64_t classes;
  std::vector<float> logits;
  std::vector<int64_t> labels;
  double loss = 0;  // of arithmetic in 64 bits, the mean
};

// Threads that send a batch again and again, a connection each, and take loss
// and gradient.
class Load {
 public:
  struct Options {
    std::string target;
    int callers = 4;
    int max_attempts = 1;  // of a call, as the client library retries
    absl::Duration timeout = absl::Seconds(60);
  };

  // `batch` outlives this.
  Load(const KnownBatch& batch, const Options& options);
  // Stops.
  ~Load();

  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  // No call is begun any more; returns when all have ended.
  void Stop();

  int64_t succeeded() const { return succeeded_; }
  int64_t failed() const { return failed_; }
  // Whose loss was another than the batch's.
  int64_t wrong() const { return wrong_; }
  // Failed calls by code, and the last message of each.
  std::map<absl::StatusCode, std::string> messages() const;

 private:
  void Run(const Options& options);

  const KnownBatch& batch_;
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> succeeded_{0};
  std::atomic<int64_t> failed_{0};
  std::atomic<int64_t> wrong_{0};
  mutable std::mutex mutex_;
  std::map<absl::StatusCode, std::string> messages_;  // guarded by mutex_
  std::vector<std::thread> callers_;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_E2E_FAULT_LOAD_H_
