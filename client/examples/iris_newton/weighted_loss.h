#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_WEIGHTED_LOSS_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_WEIGHTED_LOSS_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/examples/iris/dataset.h"
#include "client/examples/iris/linear_model.h"
#include "client/lossd/client.h"

namespace lossd::iris {

// The mean softmax cross-entropy of a linear model, with class weights and
// label smoothing, as a function of the model's parameters. Everything about
// the loss comes from lossd; the model adds its own chain rule.
//
// Errors, of both calls: the service's own.
class WeightedLoss {
 public:
  // REQUIRES: what the arguments refer to outlives this.
  WeightedLoss(const Client& client, const Dataset& dataset,
               const SoftmaxCrossEntropy& loss, double seconds_per_call)
      : client_(client),
        dataset_(dataset),
        model_(dataset),
        options_{.loss = loss},
        seconds_per_call_(seconds_per_call),
        of_logits_(model_.rows() * model_.classes()) {}

  int64_t parameters() const { return model_.parameters(); }
  int64_t correct_count() const { return correct_count_; }  // at the last value
  int calls() const { return calls_; }                      // to lossd, so far

  // Returns the loss and fills its gradient, X^T dL/dz.
  absl::StatusOr<double> Value(absl::Span<const double> parameters,
                               absl::Span<double> gradient);

  // Fills `product` with the Hessian times `vector`. As the logits are linear
  // in the parameters, that is X^T (d2L/dz2) (X vector), and the middle is
  // lossd's.
  absl::Status HessianProduct(absl::Span<const double> parameters,
                              absl::Span<const double> vector,
                              absl::Span<double> product);

 private:
  Batch<double> BatchOf(absl::Span<const double> logits) const;

  const Client& client_;
  const Dataset& dataset_;
  const LinearModel model_;
  const LossOptions options_;
  const double seconds_per_call_;
  std::vector<double> of_logits_;  // a derivative in the logits
  int64_t correct_count_ = 0;
  int calls_ = 0;
};

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_NEWTON_WEIGHTED_LOSS_H_
