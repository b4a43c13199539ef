#include "tests/support/batch_parts.h"

#include <algorithm>
#include <vector>

#include "server/compute/exact_sum.h"
#include "server/compute/narrow_float.h"

namespace lossd::testing {
namespace {

// Elements [first, last) of `all`; all of it where it is empty or for all rows.
template <typename T>
std::vector<T> Slice(const std::vector<T>& all, int64_t first, int64_t last) {
  if (all.size() <= 1) return all;
  return {all.begin() + first, all.begin() + last};
}

template <typename T>
void Prepend(const std::vector<T>& part, std::vector<T>& whole) {
  whole.insert(whole.begin(), part.begin(), part.end());
}

}  // namespace

template <typename T>
TestBatch<T> RowsOf(const TestBatch<T>& batch, int64_t first, int64_t last) {
  const auto logits = batch.logits.begin();
  const auto labels = batch.labels.begin();
  return {last - first,
          batch.classes,
          {logits + first * batch.classes, logits + last * batch.classes},
          {labels + first, labels + last}};
}

RunSettings SettingsOfRows(const RunSettings& settings, int64_t classes,
                           int64_t first, int64_t last) {
  RunSettings part = settings;
  part.row_weights = Slice(settings.row_weights, first, last);
  part.upstream = Slice(settings.upstream, first, last);
  part.target_probabilities =
      Slice(settings.target_probabilities, first * classes, last * classes);
  return part;
}

template <typename T>
LossRun<T> RunInParts(const TestBatch<T>& batch, const RunSettings& settings,
                      int64_t part_rows) {
  LossRun<T> whole;
  compute::ExactSum loss;
  const int64_t parts = (batch.rows + part_rows - 1) / part_rows;
  for (int64_t part = parts; part-- > 0;) {
    const int64_t first = part * part_rows;
    const int64_t last = std::min(first + part_rows, batch.rows);
    const LossRun<T> run =
        MustRunLoss(RowsOf(batch, first, last),
                    SettingsOfRows(settings, batch.classes, first, last));
    loss.Add(run.summary.loss.value_or(0.0));
    whole.summary.row_count += run.summary.row_count;
    whole.summary.correct_count += run.summary.correct_count;
    whole.summary.divisor = run.summary.divisor;
    Prepend(run.gradient, whole.gradient);
    Prepend(run.gradient_wide, whole.gradient_wide);
    Prepend(run.probabilities, whole.probabilities);
    Prepend(run.log_probabilities, whole.log_probabilities);
    Prepend(run.row_losses, whole.row_losses);
    Prepend(run.log_sum_exp, whole.log_sum_exp);
    Prepend(run.predictions, whole.predictions);
  }
  whole.summary.loss = loss.Rounded();
  return whole;
}

#define LOSSD_INSTANTIATE(T)                                              \
  template TestBatch<T> RowsOf(const TestBatch<T>&, int64_t, int64_t);    \
  template LossRun<T> RunInParts(const TestBatch<T>&, const RunSettings&, \
                                 int64_t);
LOSSD_INSTANTIATE(float)
LOSSD_INSTANTIATE(double)
LOSSD_INSTANTIATE(compute::Float16)
LOSSD_INSTANTIATE(compute::BFloat16)
#undef LOSSD_INSTANTIATE

}  // namespace lossd::testing
