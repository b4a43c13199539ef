// lossctl check-gradient: the service's gradient against differences of its
// losses.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "client/lossctl/command.h"
#include "client/lossctl/differences.h"
#include "client/lossctl/loss_flags.h"
#include "client/lossctl/random_batch.h"

namespace lossd::lossctl {
namespace {

// Central differences of float64 losses err by some 1e-10 of the loss's size;
// plain losses are below 10.
constexpr double kTolerance = 1e-8;
constexpr double kPlainLoss = 10.0;

// Half the distance of a float32 to its neighbour, relative to it.
constexpr double kFloat32Rounding = 0x1p-24;

// Each element costs two rows.
constexpr int64_t kMaxElements = 1'000'000;

struct CheckFlags {
  int64_t rows = 8;
  int64_t classes = 10;
  uint64_t seed = 1;
  bool float_targets = false;
  int64_t class_axis = -1;
  std::string gradient_data_type = "float64";
  LossFlags loss;

  bool classes_first() const { return class_axis == 0 || class_axis == -2; }
};

// What the service says of the batch, as the flags want it sent and answered;
// the gradient with the classes last.
struct Answer {
  std::vector<double> gradient;
  std::vector<double> losses;
};

struct Comparison {
  double worst_absolute = 0.0;
  double worst_relative = 0.0;  // to the largest element
  int64_t worst_row = 0;
  int64_t worst_class = 0;
  bool pass = true;
};

double LargestOf(const std::vector<double>& values) {
  double largest = 0.0;
  for (const double value : values)
    largest = std::max(largest, std::abs(value));
  return largest;
}

// From [rows, columns] to [columns, rows]; nothing of nothing.
std::vector<double> Transposed(absl::Span<const double> values, int64_t rows,
                               int64_t columns) {
  std::vector<double> transposed(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    transposed[at % columns * rows + at / columns] = values[i];
  }
  return transposed;
}

template <typename G>
absl::StatusOr<Answer> AskForGradient(const Client& client,
                                      const CheckFlags& flags,
                                      Batch<double> batch,
                                      const CallOptions& call) {
  std::vector<double> logits, targets;
  if (flags.classes_first()) {
    logits = Transposed(batch.logits, batch.rows, batch.classes);
    targets = Transposed(batch.targets, batch.rows, batch.classes);
    batch.inner = batch.rows;
    batch.logits = logits;
    batch.targets = targets;
  }
  std::vector<G> gradient(batch.logits.size());
  Answer answer;
  answer.losses.resize(batch.rows);
  const auto summary = client.ComputeLoss<double, G>(
      batch, flags.loss.options(), call,
      {.gradient = absl::MakeSpan(gradient),
       .row_losses = absl::MakeSpan(answer.losses)});
  if (!summary.ok()) return summary.status();
  answer.gradient.assign(gradient.begin(), gradient.end());
  if (flags.classes_first()) {
    answer.gradient = Transposed(answer.gradient, batch.classes, batch.rows);
  }
  return answer;
}

// `scales`, one per row, turn the differences of row losses into those of the
// reduced loss.
Comparison Compare(const std::vector<double>& gradient,
                   const std::vector<double>& differences,
                   const std::vector<double>& scales, double tolerance) {
  const int64_t classes = static_cast<int64_t>(gradient.size() / scales.size());
  Comparison result;
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double error =
        std::abs(gradient[i] - differences[i] * scales[i / classes]);
    // Negated, so that a NaN fails.
    if (!(error <= tolerance)) result.pass = false;
    if (!(error <= result.worst_absolute)) {
      result.worst_absolute = error;
      result.worst_row = static_cast<int64_t>(i) / classes;
      result.worst_class = static_cast<int64_t>(i) % classes;
    }
  }
  const double largest = LargestOf(gradient);
  if (largest > 0.0) result.worst_relative = result.worst_absolute / largest;
  return result;
}

// What d(row loss) is multiplied by in each row's gradient. The mean's
// denominator is counted here: the server's own word for it would hide its
// mistake.
std::vector<double> RowScales(const LossOptions& options,
                              const Batch<double>& batch) {
  double scale = 1.0;
  if (options.reduction == Reduction::kMean) {
    const double divisor =
        options.divisor.value_or(MeanDenominator(options.loss, batch));
    scale = divisor > 0.0 ? 1.0 / divisor : 0.0;
  }
  std::vector<double> scales(batch.rows, scale);
  const auto upstream = batch.upstream_gradient;
  for (size_t row = 0; row < scales.size() && !upstream.empty(); ++row) {
    scales[row] *= upstream[upstream.size() == 1 ? 0 : row];
  }
  return scales;
}

int Report(const CommonFlags& common, const CheckFlags& flags,
           const Comparison& result, double tolerance) {
  const char* verdict = result.pass ? "PASS" : "FAIL";
  if (common.json) {
    PrintJson({{"loss", LossName(flags.loss.options().loss)},
               {"rows", flags.rows},
               {"classes", flags.classes},
               {"seed", flags.seed},
               {"class_axis", flags.class_axis},
               {"gradient_data_type", flags.gradient_data_type},
               {"worst_absolute_error", JsonNumber(result.worst_absolute)},
               {"worst_relative_error", JsonNumber(result.worst_relative)},
               {"tolerance", tolerance},
               {"worst_row", result.worst_row},
               {"worst_class", result.worst_class},
               {"verdict", verdict}});
  } else {
    fmt::print("loss                  {}\n",
               LossName(flags.loss.options().loss));
    fmt::print("compared              {} x {} elements, {}, seed {}\n",
               flags.rows, flags.classes, flags.gradient_data_type, flags.seed);
    fmt::print(
        "worst absolute error  {:.3g} at row {}, class {} (want <= {:.3g})\n",
        result.worst_absolute, result.worst_row, result.worst_class, tolerance);
    fmt::print("worst relative error  {:.3g} of the largest element\n",
               result.worst_relative);
    fmt::print("{}\n", verdict);
  }
  return result.pass ? kDone : kFailed;
}

absl::Status ReadFlags(CheckFlags& flags) {
  if (flags.rows * flags.classes > kMaxElements) {
    return absl::InvalidArgumentError(
        fmt::format("--rows {} x --classes {}, want at most {} elements",
                    flags.rows, flags.classes, kMaxElements));
  }
  if (flags.class_axis < -2 || flags.class_axis > 1) {
    return absl::InvalidArgumentError(
        fmt::format("--class-axis = {}, want [-2, 2)", flags.class_axis));
  }
  absl::Status status = flags.loss.Read(flags.rows, flags.classes);
  const LossSpec& loss = flags.loss.options().loss;
  if (status.ok() && flags.float_targets &&
      LabelKindOf(loss) == LabelKind::kIndices) {
    return absl::InvalidArgumentError(
        fmt::format("--float-targets: {} takes class indices", LossName(loss)));
  }
  return status;
}

int RunCheckGradient(const CommonFlags& common, CheckFlags& flags) {
  absl::Status status = ReadFlags(flags);
  const CallOptions call = CallOptionsFrom(common);
  const auto client = ConnectClient(common);
  status.Update(client.status());
  if (!status.ok()) return BadUsage(status);
  const LossOptions& options = flags.loss.options();
  const RandomBatch drawn = DrawBatch(options.loss, flags.float_targets,
                                      flags.rows, flags.classes, flags.seed);
  const Batch<double> batch = {
      .rows = flags.rows,
      .classes = flags.classes,
      .logits = drawn.logits,
      .labels = drawn.labels,
      .targets = drawn.targets,
      .row_weights = flags.loss.row_weights(),
      .upstream_gradient = flags.loss.upstream_gradient()};
  const bool narrow = flags.gradient_data_type == "float32";
  const auto answer = narrow
                          ? AskForGradient<float>(*client, flags, batch, call)
                          : AskForGradient<double>(*client, flags, batch, call);
  if (!answer.ok()) return Fail(common, answer.status());
  const auto differences = CentralDifferences(*client, batch, options, call);
  if (!differences.ok()) return Fail(common, differences.status());

  const std::vector<double> scales = RowScales(options, batch);
  double tolerance = kTolerance * LargestOf(scales) *
                     SteepnessOf(options.loss) *
                     std::max(1.0, LargestOf(answer->losses) / kPlainLoss);
  if (narrow) tolerance += kFloat32Rounding * LargestOf(answer->gradient);
  return Report(common, flags,
                Compare(answer->gradient, *differences, scales, tolerance),
                tolerance);
}

}  // namespace

void AddCheckGradient(CLI::App& app, const CommonFlags& common,
                      Command* chosen) {
  CLI::App* check = app.add_subcommand(
      "check-gradient",
      "Compare the gradient with central differences of the service's losses");
  const auto flags = std::make_shared<CheckFlags>();
  check->add_option("--rows", flags->rows, "Rows of the random batch")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  check->add_option("--classes", flags->classes, "Classes of the random batch")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  check->add_option("--seed", flags->seed, "Seed of the random batch")
      ->check(CLI::Range(int64_t{0}, std::numeric_limits<int64_t>::max()))
      ->capture_default_str();
  check->add_flag("--float-targets", flags->float_targets,
                  "Random targets, not class indices, for a loss that takes "
                  "both");
  check
      ->add_option("--class-axis", flags->class_axis,
                   "The axis of the batch that holds the classes, in [-2, 2); "
                   "0 or -2: it is sent as [classes, rows]")
      ->capture_default_str();
  check
      ->add_option("--gradient-data-type", flags->gradient_data_type,
                   "The element type in which the gradient is asked for")
      ->check(CLI::IsMember({"float32", "float64"}))
      ->capture_default_str();
  flags->loss.AddTo(check);
  check->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunCheckGradient(common, *flags); };
  });
}

}  // namespace lossd::lossctl
