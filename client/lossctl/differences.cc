#include "client/lossctl/differences.h"

#include <algorithm>
#include <cmath>

namespace lossd::lossctl {
namespace {

// Far below what any server takes for one request.
constexpr int64_t kCallBytes = 16 << 20;

// One call's worth of perturbed rows: a pair for each of the elements from
// `first` to `last`.
absl::Status AddDifferences(const Client& client, const Batch<double>& batch,
                            const LossOptions& options, const CallOptions& call,
                            int64_t first, int64_t last,
                            std::vector<double>* differences) {
  std::vector<double> logits;
  std::vector<int64_t> labels;
  for (int64_t element = first; element < last; ++element) {
    const int64_t row = element / batch.classes;
    const auto original =
        batch.logits.subspan(row * batch.classes, batch.classes);
    const double step = DifferenceStep(batch.logits[element]);
    for (const double signed_step : {step, -step}) {
      logits.insert(logits.end(), original.begin(), original.end());
      logits[logits.size() - batch.classes + element % batch.classes] +=
          signed_step;
      labels.push_back(batch.labels[row]);
    }
  }
  std::vector<double> losses(labels.size());
  const auto summary = client.ComputeLoss<double>(
      {.rows = static_cast<int64_t>(labels.size()),
       .classes = batch.classes,
       .logits = logits,
       .labels = labels},
      options, call, {.row_losses = absl::MakeSpan(losses)});
  if (!summary.ok()) return summary.status();

  for (int64_t element = first; element < last; ++element) {
    const int64_t pair = 2 * (element - first);
    const int64_t at = pair * batch.classes + element % batch.classes;
    // The distance as rounded, not 2h.
    const double distance = logits[at] - logits[at + batch.classes];
    differences->push_back((losses[pair] - losses[pair + 1]) / distance);
  }
  return absl::OkStatus();
}

}  // namespace

double DifferenceStep(double z) {
  return std::ldexp(std::max(1.0, std::abs(z)), -17);
}

absl::StatusOr<std::vector<double>> CentralDifferences(
    const Client& client, const Batch<double>& batch, LossOptions options,
    const CallOptions& call) {
  options.reduction = Reduction::kNone;
  options.divisor.reset();
  const int64_t pair_bytes = 2 * batch.classes * int64_t{sizeof(double)};
  const int64_t elements_per_call =
      std::max<int64_t>(1, kCallBytes / pair_bytes);
  const int64_t elements = batch.rows * batch.classes;
  std::vector<double> differences;
  for (int64_t first = 0; first < elements; first += elements_per_call) {
    absl::Status status = AddDifferences(
        client, batch, options, call, first,
        std::min(elements, first + elements_per_call), &differences);
    if (!status.ok()) return status;
  }
  return differences;
}

}  // namespace lossd::lossctl
