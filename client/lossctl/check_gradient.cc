// lossctl check-gradient: the service's gradient against differences of its
// losses.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

#include "client/lossctl/command.h"
#include "client/lossctl/differences.h"

namespace lossd::lossctl {
namespace {

// Central differences of float64 losses err by some 1e-10 of the loss's size.
constexpr double kTolerance = 1e-8;

// Each element costs two rows.
constexpr int64_t kMaxElements = 1'000'000;

struct CheckFlags {
  int64_t rows = 8;
  int64_t classes = 10;
  uint64_t seed = 1;
  LossOptions options;
};

struct Sample {
  std::vector<double> logits;
  std::vector<int64_t> labels;
  int64_t counted_rows = 0;
};

// Normal logits of scale 3; with an ignore_index every third row carries it.
Sample MakeSample(const CheckFlags& flags) {
  std::mt19937_64 random(flags.seed);
  std::normal_distribution<double> logit(0.0, 3.0);
  std::uniform_int_distribution<int64_t> label(0, flags.classes - 1);
  const auto ignore_index = flags.options.ignore_index;
  Sample sample;
  sample.logits.resize(flags.rows * flags.classes);
  std::generate(sample.logits.begin(), sample.logits.end(),
                [&] { return logit(random); });
  for (int64_t row = 0; row < flags.rows; ++row) {
    const int64_t drawn = label(random);
    const bool ignored = ignore_index.has_value() && row % 3 == 2;
    sample.labels.push_back(ignored ? *ignore_index : drawn);
    if (sample.labels.back() != ignore_index) ++sample.counted_rows;
  }
  return sample;
}

struct Comparison {
  double worst_absolute = 0.0;
  double worst_relative = 0.0;  // to the largest element
  int64_t worst_row = 0;
  int64_t worst_class = 0;
  bool pass = true;
};

// `scale` turns the differences of row losses into those of the reduced loss.
Comparison Compare(const std::vector<double>& gradient,
                   const std::vector<double>& differences, double scale,
                   int64_t classes) {
  Comparison result;
  double largest = 0.0;
  for (const double g : gradient) largest = std::max(largest, std::abs(g));
  for (size_t i = 0; i < gradient.size(); ++i) {
    const double error = std::abs(gradient[i] - differences[i] * scale);
    // Negated, so that a NaN fails.
    if (!(error <= kTolerance * scale)) result.pass = false;
    if (!(error <= result.worst_absolute)) {
      result.worst_absolute = error;
      result.worst_row = static_cast<int64_t>(i) / classes;
      result.worst_class = static_cast<int64_t>(i) % classes;
    }
  }
  if (largest > 0.0) result.worst_relative = result.worst_absolute / largest;
  return result;
}

int Report(const CommonFlags& common, const CheckFlags& flags,
           const Comparison& result, double tolerance) {
  const char* verdict = result.pass ? "PASS" : "FAIL";
  if (common.json) {
    PrintJson({{"rows", flags.rows},
               {"classes", flags.classes},
               {"seed", flags.seed},
               {"worst_absolute_error", JsonNumber(result.worst_absolute)},
               {"worst_relative_error", JsonNumber(result.worst_relative)},
               {"tolerance", tolerance},
               {"worst_row", result.worst_row},
               {"worst_class", result.worst_class},
               {"verdict", verdict}});
  } else {
    fmt::print("compared              {} x {} elements, float64, seed {}\n",
               flags.rows, flags.classes, flags.seed);
    fmt::print(
        "worst absolute error  {:.3g} at row {}, class {} (want <= {:.3g})\n",
        result.worst_absolute, result.worst_row, result.worst_class, tolerance);
    fmt::print("worst relative error  {:.3g} of the largest element\n",
               result.worst_relative);
    fmt::print("{}\n", verdict);
  }
  return result.pass ? kDone : kFailed;
}

int RunCheckGradient(const CommonFlags& common, const CheckFlags& flags) {
  if (flags.rows * flags.classes > kMaxElements) {
    return BadUsage(absl::InvalidArgumentError(
        fmt::format("--rows {} x --classes {}, want at most {} elements",
                    flags.rows, flags.classes, kMaxElements)));
  }
  const CallOptions call = CallOptionsFrom(common);
  const auto client = ConnectClient(common);
  if (!client.ok()) return BadUsage(client.status());
  const Sample sample = MakeSample(flags);
  const Batch<double> batch = {.rows = flags.rows,
                               .classes = flags.classes,
                               .logits = sample.logits,
                               .labels = sample.labels};
  std::vector<double> gradient(sample.logits.size());
  const auto summary = client->ComputeLoss<double>(
      batch, flags.options, call, {.gradient = absl::MakeSpan(gradient)});
  if (!summary.ok()) return Fail(common, summary.status());
  const auto differences =
      CentralDifferences(*client, batch, flags.options, call);
  if (!differences.ok()) return Fail(common, differences.status());

  // The mean's denominator is counted here: the server's own word for it would
  // hide its mistake.
  const double scale = flags.options.reduction == Reduction::kMean
                           ? 1.0 / std::max<int64_t>(1, sample.counted_rows)
                           : 1.0;
  return Report(common, flags,
                Compare(gradient, *differences, scale, flags.classes),
                kTolerance * scale);
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
      ->capture_default_str();
  AddLossFlags(check, &flags->options);
  check->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunCheckGradient(common, *flags); };
  });
}

}  // namespace lossd::lossctl
