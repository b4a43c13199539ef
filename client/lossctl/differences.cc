#include "client/lossctl/differences.h"

#include <algorithm>
#include <cmath>
#include <variant>

namespace lossd::lossctl {
namespace {

// Far below what any server takes for one request.
constexpr int64_t kCallBytes = 16 << 20;

// The batch's rows, each twice for every element of it that is perturbed.
struct PerturbedRows {
  std::vector<double> logits;
  std::vector<int64_t> labels;
  std::vector<double> targets;
  std::vector<double> row_weights;

  // Adds one row of `batch` with its element `element` moved by `step`.
  void Add(const Batch<double>& batch, int64_t element, double step) {
    const int64_t row = element / batch.classes;
    const auto copy = [&](absl::Span<const double> from, int64_t length,
                          std::vector<double>* to) {
      if (from.empty()) return;
      const auto values = from.subspan(row * length, length);
      to->insert(to->end(), values.begin(), values.end());
    };
    copy(batch.logits, batch.classes, &logits);
    logits[logits.size() - batch.classes + element % batch.classes] += step;
    copy(batch.targets, batch.classes, &targets);
    copy(batch.row_weights, 1, &row_weights);
    if (!batch.labels.empty()) labels.push_back(batch.labels[row]);
  }
};

// One call's worth of perturbed rows: a pair for each of the elements from
// `first` to `last`.
absl::Status AddDifferences(const Client& client, const Batch<double>& batch,
                            const LossOptions& options, const CallOptions& call,
                            int64_t first, int64_t last,
                            std::vector<double>* differences) {
  const double steepness = SteepnessOf(options.loss);
  PerturbedRows rows;
  for (int64_t element = first; element < last; ++element) {
    const double step = DifferenceStep(batch.logits[element]) / steepness;
    rows.Add(batch, element, step);
    rows.Add(batch, element, -step);
  }
  std::vector<double> losses(2 * (last - first));
  const auto summary = client.ComputeLoss<double>(
      {.rows = static_cast<int64_t>(losses.size()),
       .classes = batch.classes,
       .logits = rows.logits,
       .labels = rows.labels,
       .targets = rows.targets,
       .row_weights = rows.row_weights},
      options, call, {.row_losses = absl::MakeSpan(losses)});
  if (!summary.ok()) return summary.status();

  for (int64_t element = first; element < last; ++element) {
    const int64_t pair = 2 * (element - first);
    const int64_t at = pair * batch.classes + element % batch.classes;
    // The distance as rounded, not 2h.
    const double distance = rows.logits[at] - rows.logits[at + batch.classes];
    differences->push_back((losses[pair] - losses[pair + 1]) / distance);
  }
  return absl::OkStatus();
}

}  // namespace

double DifferenceStep(double z) {
  return std::ldexp(std::max(1.0, std::abs(z)), -17);
}

double SteepnessOf(const LossSpec& loss) {
  double steepness = 1.0;
  if (const auto* softmax = std::get_if<SoftmaxCrossEntropy>(&loss)) {
    steepness = std::max(1.0, std::abs(softmax->logit_scale.value_or(1.0)));
    steepness *= std::max(1.0, 1.0 / softmax->logit_softcap.value_or(1.0));
  } else if (const auto* divergence = std::get_if<KlDivergence>(&loss)) {
    steepness = std::max(1.0, 1.0 / divergence->temperature);
  } else if (const auto* focal = std::get_if<SoftmaxFocal>(&loss)) {
    steepness = std::max(1.0, focal->gamma / 2.0);
  } else if (const auto* focal = std::get_if<SigmoidFocal>(&loss)) {
    steepness = std::max(1.0, focal->gamma / 2.0);
  }
  return steepness;
}

absl::StatusOr<std::vector<double>> CentralDifferences(
    const Client& client, const Batch<double>& batch, LossOptions options,
    const CallOptions& call) {
  options.reduction = Reduction::kNone;
  options.divisor.reset();
  // Logits and, for some losses, targets.
  const int64_t pair_bytes = 4 * batch.classes * int64_t{sizeof(double)};
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
