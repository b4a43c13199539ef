// The C++ client of lossd. Link lossd::client, include this.
//
//   auto client = lossd::Client::Connect({.target = "127.0.0.1:50051"});
//   std::vector<float> gradient(logits.size());
//   auto summary = client->ComputeLoss<float>(
//       {.rows = 32, .classes = 27, .logits = logits, .labels = labels},
//       {.loss = lossd::SoftmaxCrossEntropy{.label_smoothing = 0.1}},
//       lossd::CallOptions(absl::Seconds(1)),
//       {.gradient = absl::MakeSpan(gradient)});
//   if (!summary.ok()) return summary.status();
#ifndef LOSSD_CLIENT_LOSSD_CLIENT_H_
#define LOSSD_CLIENT_LOSSD_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
// As an outside project names them.
#include "lossd/error.h"    // IWYU pragma: export
#include "lossd/options.h"  // IWYU pragma: export

namespace lossd {

// A connection to one lossd (or to several behind one name), made when first
// used and made again whenever it was lost.
//
// Errors, of every call: the server's own, with its message (error.h has its
//   machine-readable part); Unavailable: no server there, none that TLS trusts,
//   overloaded or draining, after the attempts that RetryOptions allow;
//   DeadlineExceeded: the deadline passed. A call never outlives its deadline.
// Threads: const methods may run at once on any number of threads; each blocks
//   its own.
class Client {
 public:
  // Makes a client; touches no network yet.
  // Errors: InvalidArgument: an empty target; a retry option out of its range;
  //   a TLS file that cannot be read or lacks its other half.
  static absl::StatusOr<Client> Connect(const ClientOptions& options);

  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // Computes the loss of `batch`, and of `outputs` what is not empty. T and G
  // are float or double; results come as T, the gradient as G, which is T
  // unless named: ComputeLoss<float, double>(...). Formulas: losses.h.
  //
  //   loss = sum_r l_r / D    gradient_ri = d loss / dz_ri
  //   D: as Reduction says, 1 unless kMean
  //
  // Large batches go in chunks, as `call.transfer` says; the bits are the same.
  //
  // Shapes: as Batch, LossSpec and LossOutputs say, checked before anything is
  //   sent.
  // Errors: InvalidArgument: rows, classes or inner out of its range; a span's
  //   size against these; both of labels and targets, or neither; kStream where
  //   that cannot be; what the server refuses (label range, option range,
  //   non-finite logit, divisor): the first offender named. ResourceExhausted:
  //   more bytes than a message or the server takes, in chunks, too.
  //   Unimplemented: a loss, option or output that the server does not have.
  //   Internal: the answer is not what was asked for. On an error the contents
  //   of `outputs` are unspecified.
  // Cost: one copy of the logits and one of each output, beside gRPC's own; in
  //   chunks, two of 1 MiB or of a row at a time. Up to 64 MiB of what requests
  //   took is kept. The first batch larger than the server takes is sent twice.
  template <typename T, typename G = T>
  absl::StatusOr<LossSummary> ComputeLoss(
      const Batch<T>& batch, const LossOptions& options,
      const CallOptions& call, const LossOutputs<T, G>& outputs) const;

  // Fills `product` with (d2 loss / dz2) `vector`, both as the logits.
  // Errors: as ComputeLoss; Unimplemented: no second order of this loss.
  template <typename T>
  absl::Status ComputeHessianVectorProduct(const Batch<T>& batch,
                                           const LossOptions& options,
                                           absl::Span<const T> vector,
                                           const CallOptions& call,
                                           absl::Span<T> product) const;

  // Tells what the server is and takes.
  absl::StatusOr<ServerInfo> GetServerInfo(const CallOptions& call) const;

  // Asks the standard health service about `service`; empty: the server as a
  // whole. Never retried: that a server cannot be reached is an answer, too.
  // Errors: NotFound: the server knows no such service.
  absl::StatusOr<Health> CheckHealth(const std::string& service,
                                     const CallOptions& call) const;

 private:
  struct Impl;
  explicit Client(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

extern template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<float>&, const LossOptions&, const CallOptions&,
    const LossOutputs<float>&) const;
extern template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<float>&, const LossOptions&, const CallOptions&,
    const LossOutputs<float, double>&) const;
extern template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<double>&, const LossOptions&, const CallOptions&,
    const LossOutputs<double>&) const;
extern template absl::StatusOr<LossSummary> Client::ComputeLoss(
    const Batch<double>&, const LossOptions&, const CallOptions&,
    const LossOutputs<double, float>&) const;
extern template absl::Status Client::ComputeHessianVectorProduct(
    const Batch<float>&, const LossOptions&, absl::Span<const float>,
    const CallOptions&, absl::Span<float>) const;
extern template absl::Status Client::ComputeHessianVectorProduct(
    const Batch<double>&, const LossOptions&, absl::Span<const double>,
    const CallOptions&, absl::Span<double>) const;

}  // namespace lossd

#endif  // LOSSD_CLIENT_LOSSD_CLIENT_H_
