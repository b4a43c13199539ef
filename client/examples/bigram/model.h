#ifndef LOSSD_CLIENT_EXAMPLES_BIGRAM_MODEL_H_
#define LOSSD_CLIENT_EXAMPLES_BIGRAM_MODEL_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "client/examples/bigram/names.h"

namespace lossd::bigram {

// What lies between the parameters and the logits that lossd gets: a row of the
// batch is a row of the weights W, [classes * classes],
//
//   z_r = W[previous_r]    W[a] = s_a V[a]    s_a = sqrt(rows / rows after a)
//
// V are the parameters: in W the loss bends as often as a character occurs, in
// V after every character alike, and an optimizer needs half the steps.
class Model {
 public:
  // REQUIRES: `pairs` outlives this and has a row.
  explicit Model(const Pairs& pairs);

  const Pairs& pairs() const { return pairs_; }

  std::vector<double> Weights(absl::Span<const double> parameters) const;

  // Fills `logits`, [rows * classes].
  void Logits(absl::Span<const double> parameters,
              absl::Span<float> logits) const;

  // The chain rule: from dL/dz, [rows * classes], to dL/dV,
  //   dL/dV[a] = s_a (sum over the rows r with previous_r = a of dL/dz_r).
  void ParameterGradient(absl::Span<const float> logit_gradient,
                         absl::Span<double> gradient) const;

  // The lowest mean loss there is: p(b | a) as counted,
  //   -(1 / rows) sum_ab n_ab ln(n_ab / n_a).
  double Optimum() const;

 private:
  const Pairs& pairs_;
  std::vector<double> scales_;  // [classes]; 0 where nothing comes after
};

}  // namespace lossd::bigram

#endif  // LOSSD_CLIENT_EXAMPLES_BIGRAM_MODEL_H_
