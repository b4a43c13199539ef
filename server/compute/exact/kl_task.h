#ifndef LOSSD_SERVER_COMPUTE_EXACT_KL_TASK_H_
#define LOSSD_SERVER_COMPUTE_EXACT_KL_TASK_H_

#include <cstdint>

namespace lossd::compute {

// One row of KL divergence, widened to float64. With e_j = exp((z_j - z_max) /
// T), S their sum, f_j = exp((t_j - t_max) / T) and F their sum where the
// teacher's are logits, f_j = t_j and F that over the classes where they are
// probabilities:
//
//   slope_i = T (F e_i / S - f_i) / W        W = F for logits, else 1
//   loss = T (sum_j f_j d_j + T F (ln S - ln W)) / W
//   d_j = (t_j - t_max) - (z_j - z_max) for logits, else T ln f_j - (z_j -
//   z_max)
//
// A class with z_j = -inf has e_j = 0; the loss is infinite where its f_j > 0,
// which is nobody's to compute here.
struct KlTask {
  const double* z = nullptr;  // [classes]; not all are -inf
  const double* t = nullptr;  // [classes]; logits are not all -inf
  int64_t classes = 0;
  double z_max = 0.0;
  double t_max = 0.0;  // of logits
  bool teacher_is_logits = false;
  double temperature = 1.0;
};

}  // namespace lossd::compute

#endif  // LOSSD_SERVER_COMPUTE_EXACT_KL_TASK_H_
