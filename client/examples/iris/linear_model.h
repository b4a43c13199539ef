#ifndef LOSSD_CLIENT_EXAMPLES_IRIS_LINEAR_MODEL_H_
#define LOSSD_CLIENT_EXAMPLES_IRIS_LINEAR_MODEL_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "client/examples/iris/dataset.h"

namespace lossd::iris {

// What lies between the parameters and the logits that lossd gets:
//
//   z_rk = b_k + sum_f w_kf x_rf,   b_0 = w_0f = 0   (the first class is the
//   reference, as in R's nnet::multinom)
//
// The parameters lie as [classes - 1][features + 1], the intercept last.
class LinearModel {
 public:
  // REQUIRES: `dataset` outlives this.
  explicit LinearModel(const Dataset& dataset);

  int64_t rows() const { return dataset_.rows; }
  int64_t classes() const { return classes_; }
  int64_t parameters() const {
    return (classes_ - 1) * (dataset_.features + 1);
  }

  // The logits, [rows * classes]. As they are linear in the parameters, a
  // direction of these gives the logits' direction.
  std::vector<double> Logits(absl::Span<const double> parameters) const;

  // The chain rule: from dL/dz, [rows * classes], to dL/d(parameters),
  //   dL/dw_kf = sum_r dL/dz_rk x_rf    dL/db_k = sum_r dL/dz_rk
  void ParameterGradient(absl::Span<const double> logit_gradient,
                         absl::Span<double> gradient) const;

 private:
  const Dataset& dataset_;
  const int64_t classes_;
};

}  // namespace lossd::iris

#endif  // LOSSD_CLIENT_EXAMPLES_IRIS_LINEAR_MODEL_H_
