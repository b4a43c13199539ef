// What a call to lossd takes and gives: plain values and spans.
#ifndef LOSSD_CLIENT_LOSSD_OPTIONS_H_
#define LOSSD_CLIENT_LOSSD_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
// As an outside project names it.
#include "lossd/losses.h"  // IWYU pragma: export

namespace lossd {

// When to call again after UNAVAILABLE. The wait before attempt n + 1 is
// min(max_backoff, initial_backoff * multiplier^(n - 1)), times a random factor
// in [1 - jitter, 1 + jitter]; what the server asks for (google.rpc.RetryInfo,
// grpc-retry-pushback-ms) replaces it. A negative pushback ends the attempts;
// so does a wait that would reach the call's deadline.
struct RetryOptions {
  int max_attempts = 5;  // calls in all, >= 1; 1: never retry
  absl::Duration initial_backoff = absl::Milliseconds(100);  // > 0
  absl::Duration max_backoff = absl::Seconds(5);             // >= initial
  double multiplier = 2.0;                                   // >= 1
  double jitter = 0.2;                                       // in [0, 1)
};

// Where the server is and how to deal with it.
struct ClientOptions {
  // HOST:PORT, unix:PATH or any other gRPC target ("dns:///name:port").
  // Plaintext and direct: an http_proxy in the environment is not used.
  std::string target = "127.0.0.1:50051";
  RetryOptions retry = {};
};

// What every call must say: retries and waits included, it ends by `deadline`;
// absl::InfiniteFuture() means never.
struct CallOptions {
  explicit CallOptions(absl::Time deadline) : deadline(deadline) {}
  // The same, from now.
  explicit CallOptions(absl::Duration timeout)
      : deadline(absl::Now() + timeout) {}

  absl::Time deadline;
};

// How the row losses become one number.
enum class Reduction {
  kMean,  // sum over the counted rows' summed weights, or over `divisor`
  kSum,
  kNone,  // no number; the gradient is that of each row's own loss
};

enum class NonFinitePolicy {
  kReject,     // NaN, +inf or a row of nothing but -inf is InvalidArgument
  kPropagate,  // IEEE results in that row; other rows untouched
};

// What to compute.
struct LossOptions {
  LossSpec loss = SoftmaxCrossEntropy{};
  Reduction reduction = Reduction::kMean;
  // Replaces the mean's denominator; in [1e-100, 1e100], only with kMean.
  std::optional<double> divisor = std::nullopt;
  NonFinitePolicy non_finite_policy = NonFinitePolicy::kReject;
};

// One batch; views that must outlive the call. T is float or double.
template <typename T>
struct Batch {
  int64_t rows = 0;
  int64_t classes = 0;              // >= 1
  absl::Span<const T> logits = {};  // [rows * classes], row-major
  // Exactly one of these two, as the loss takes them; with no rows, neither.
  absl::Span<const int64_t> labels = {};  // [rows], indices in [0, classes)
  absl::Span<const T> targets = {};       // [rows * classes]
  // Weights or a mask for the rows' losses, each >= 0; [rows], or empty.
  absl::Span<const double> row_weights = {};
  // dL/d(row loss), for gradients; [rows], [1] unless kNone, or empty.
  absl::Span<const double> upstream_gradient = {};
};

// Where the results go, each exactly as long as said. An empty span: not
// wanted, neither computed nor sent.
template <typename T>
struct LossOutputs {
  absl::Span<T> gradient = {};           // [rows * classes]
  absl::Span<T> row_losses = {};         // [rows], nats
  absl::Span<T> log_sum_exp = {};        // [rows], ln sum_j exp(z_j)
  absl::Span<T> probabilities = {};      // [rows * classes]
  absl::Span<T> log_probabilities = {};  // [rows * classes]
  absl::Span<int64_t> predictions = {};  // [rows], lowest index on ties
};

// The results that are single numbers.
struct LossSummary {
  std::optional<double> loss;  // nats; absent for Reduction::kNone
  int64_t row_count = 0;       // rows that counted: not ignored
  int64_t correct_count = 0;   // of these, rows whose prediction is the label
  double divisor = 1.0;        // what the mean divided by; 1 otherwise
};

struct ServerInfo {
  std::string version;  // as in "0.1.0"
  std::string kernel;   // active instruction set, as in "AVX2"
  int32_t compute_threads = 0;
  int64_t max_request_bytes = 0;
  int64_t memory_budget_bytes = 0;      // 0: not bounded
  std::vector<std::string> losses;      // those that work, by name
  std::vector<std::string> data_types;  // of logits, as in "FLOAT32"
};

enum class Health { kUnknown, kServing, kNotServing };

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_OPTIONS_H_
