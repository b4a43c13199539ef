// What a call to lossd takes and gives: plain values and spans.
#ifndef LOSSD_CLIENT_LOSSD_OPTIONS_H_
#define LOSSD_CLIENT_LOSSD_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
// As an outside project names them.
#include "lossd/batch.h"   // IWYU pragma: export
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

// TLS to the server. Files are in PEM and read once, by Client::Connect.
struct TlsOptions {
  // Those whose signature a server's certificate must lead to; empty: those
  // that the system trusts.
  std::string ca_file = {};
  // What the client shows of itself to a server that asks, and its private key,
  // without a password: both or neither.
  std::string certificate_file = {};
  std::string key_file = {};
  // The name that the server's certificate must bear; empty: the target's.
  std::string server_name = {};
};

// Where the server is and how to deal with it.
struct ClientOptions {
  // HOST:PORT, unix:PATH or any other gRPC target ("dns:///name:port",
  // "ipv4:10.0.0.1:50051,10.0.0.2:50051"), and always direct: an http_proxy in
  // the environment is not used. Where it stands for several addresses, calls
  // go to all that answer, in turn.
  std::string target = "127.0.0.1:50051";
  RetryOptions retry = {};
  std::optional<TlsOptions> tls = std::nullopt;  // none: plaintext
};

// How ComputeLoss's batch goes to the server.
enum class Transfer {
  // In chunks from 4 MiB of logits on, or when the server or a message takes
  // less than the batch; else, and where kStream cannot be, in one message.
  kAuto,
  kUnary,  // one message each way
  // Chunks of whole rows, for a batch of any size. Only with inner == 1 and
  // without probabilities and log_probabilities.
  kStream,
};

// What every call must say: retries and waits included, it ends by `deadline`;
// absl::InfiniteFuture() means never.
struct CallOptions {
  explicit CallOptions(absl::Time deadline) : deadline(deadline) {}
  // The same, from now.
  explicit CallOptions(absl::Duration timeout)
      : deadline(absl::Now() + timeout) {}

  absl::Time deadline;
  // What follows concerns ComputeLoss alone.
  Transfer transfer = Transfer::kAuto;
  // Called on the caller's thread, as rows are done: those whose gradient came,
  // or, with no gradient wanted, those sent. Starts again when the batch has to
  // be sent again; of one message, only at the end. Must not throw.
  std::function<void(int64_t rows_done, int64_t rows)> progress;
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
