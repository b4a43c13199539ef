// lossctl compute: one batch from .npy files.
#include <fmt/core.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/lossctl/command.h"
#include "client/lossctl/npy.h"
#include "client/lossctl/output_file.h"

namespace lossd::lossctl {
namespace {

struct ComputeFlags {
  std::string logits;
  std::string labels;
  LossOptions options;
  std::string gradient_out;
  std::string row_losses_out;
  std::string log_sum_exp_out;
  std::string predictions_out;
};

struct ComputeInput {
  NpyArray logits;  // float32 or float64, the class axis last
  std::vector<int64_t> labels;
  Shape labels_shape;  // the logits' without the class axis
};

absl::StatusOr<std::vector<int64_t>> LabelsFrom(const std::string& path,
                                                const NpyArray& array) {
  if (const auto* wide = std::get_if<std::vector<int64_t>>(&array.values)) {
    return *wide;
  }
  if (const auto* narrow = std::get_if<std::vector<int32_t>>(&array.values)) {
    return std::vector<int64_t>(narrow->begin(), narrow->end());
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": labels of dtype ",
                   array.values.index() == 0 ? "float32" : "float64",
                   ", want int32 or int64"));
}

absl::StatusOr<ComputeInput> ReadInput(const ComputeFlags& flags) {
  auto logits = ReadNpy(flags.logits);
  if (!logits.ok()) return logits.status();
  if (logits->values.index() > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.logits, ": logits of dtype ",
                     logits->values.index() == 2 ? "int32" : "int64",
                     ", want float32 or float64"));
  }
  if (logits->shape.empty() || logits->shape.back() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        flags.logits, ": logits of shape ", ShapeString(logits->shape),
        ", want a last axis of at least one class"));
  }
  const auto labels = ReadNpy(flags.labels);
  if (!labels.ok()) return labels.status();
  Shape want = logits->shape;
  want.pop_back();
  if (labels->shape != want) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.labels, ": labels of shape ",
                     ShapeString(labels->shape), ", want ", ShapeString(want),
                     ", the shape ", ShapeString(logits->shape), " of ",
                     flags.logits, " without its last axis"));
  }
  auto indices = LabelsFrom(flags.labels, *labels);
  if (!indices.ok()) return indices.status();
  return ComputeInput{*std::move(logits), *std::move(indices), std::move(want)};
}

// The files to write, opened before the server is called: a path that cannot be
// written costs no computation.
class OutputFiles {
 public:
  absl::Status Open(const std::string& path) {
    if (path.empty()) return absl::OkStatus();
    if (files_.count(path) > 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": named for two outputs"));
    }
    auto file = OutputFile::Create(path);
    if (!file.ok()) return file.status();
    files_[path] = *std::move(file);
    return absl::OkStatus();
  }

  template <typename T>
  absl::Status Write(const std::string& path, const std::vector<T>& values,
                     const Shape& shape) {
    if (path.empty()) return absl::OkStatus();
    return files_.at(path)->Write(NpyBytes(values, shape));
  }

  absl::Status CommitAll() {
    absl::Status status;
    for (auto& [path, file] : files_) status.Update(file->Commit());
    return status;
  }

 private:
  std::map<std::string, std::unique_ptr<OutputFile>> files_;
};

void PrintSummary(const CommonFlags& common, const ComputeFlags& flags,
                  const LossSummary& summary, size_t rows) {
  if (common.json) {
    Json json;
    if (summary.loss.has_value()) json["loss"] = JsonNumber(*summary.loss);
    json["row_count"] = summary.row_count;
    json["correct_count"] = summary.correct_count;
    json["divisor"] = JsonNumber(summary.divisor);
    PrintJson(json);
    return;
  }
  if (summary.loss.has_value())
    fmt::print("loss           {}\n", *summary.loss);
  fmt::print("rows counted   {} of {}\n", summary.row_count, rows);
  fmt::print("correct        {}\n", summary.correct_count);
  fmt::print("divisor        {}\n", summary.divisor);
  for (const std::string& path :
       {flags.gradient_out, flags.row_losses_out, flags.log_sum_exp_out,
        flags.predictions_out}) {
    if (!path.empty()) fmt::print("wrote          {}\n", path);
  }
}

template <typename T>
int Compute(const CommonFlags& common, const ComputeFlags& flags,
            const ComputeInput& input, const std::vector<T>& logits) {
  const CallOptions call = CallOptionsFrom(common);
  const size_t rows = input.labels.size();
  OutputFiles files;
  absl::Status status = files.Open(flags.gradient_out);
  status.Update(files.Open(flags.row_losses_out));
  status.Update(files.Open(flags.log_sum_exp_out));
  status.Update(files.Open(flags.predictions_out));
  const auto client = ConnectClient(common);
  status.Update(client.status());
  if (!status.ok()) return BadUsage(status);

  const auto length = [](const std::string& path, size_t size) {
    return path.empty() ? size_t{0} : size;
  };
  std::vector<T> gradient(length(flags.gradient_out, logits.size()));
  std::vector<T> row_losses(length(flags.row_losses_out, rows));
  std::vector<T> log_sum_exp(length(flags.log_sum_exp_out, rows));
  std::vector<int64_t> predictions(length(flags.predictions_out, rows));
  const auto summary = client->template ComputeLoss<T>(
      {.rows = static_cast<int64_t>(rows),
       .classes = static_cast<int64_t>(input.logits.shape.back()),
       .logits = logits,
       .labels = input.labels},
      flags.options, call,
      {.gradient = absl::MakeSpan(gradient),
       .row_losses = absl::MakeSpan(row_losses),
       .log_sum_exp = absl::MakeSpan(log_sum_exp),
       .predictions = absl::MakeSpan(predictions)});
  if (!summary.ok()) return Fail(common, summary.status());

  status = files.Write(flags.gradient_out, gradient, input.logits.shape);
  status.Update(
      files.Write(flags.row_losses_out, row_losses, input.labels_shape));
  status.Update(
      files.Write(flags.log_sum_exp_out, log_sum_exp, input.labels_shape));
  status.Update(
      files.Write(flags.predictions_out, predictions, input.labels_shape));
  if (status.ok()) status = files.CommitAll();
  if (!status.ok()) return Fail(common, status);
  PrintSummary(common, flags, *summary, rows);
  return kDone;
}

int RunCompute(const CommonFlags& common, const ComputeFlags& flags) {
  const auto input = ReadInput(flags);
  if (!input.ok()) return BadUsage(input.status());
  if (const auto* logits =
          std::get_if<std::vector<float>>(&input->logits.values)) {
    return Compute(common, flags, *input, *logits);
  }
  return Compute(common, flags, *input,
                 std::get<std::vector<double>>(input->logits.values));
}

void AddFlags(CLI::App* compute, ComputeFlags* flags) {
  compute
      ->add_option("--logits", flags->logits,
                   ".npy, float32 or float64, the last axis the classes")
      ->required();
  compute
      ->add_option("--labels", flags->labels,
                   ".npy, int32 or int64 class indices, the logits' shape "
                   "without the last axis")
      ->required();
  compute->add_option("--loss", flags->options.loss, "The loss's name")
      ->check(CLI::IsMember(LossNames()))
      ->capture_default_str();
  AddLossFlags(compute, &flags->options);
  compute->add_option("--divisor", flags->options.divisor,
                      "Replaces the mean's denominator; > 0");
  compute
      ->add_option("--non-finite-policy", flags->options.non_finite_policy,
                   "What to do with NaN and +inf logits; default reject")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, NonFinitePolicy>{
              {"reject", NonFinitePolicy::kReject},
              {"propagate", NonFinitePolicy::kPropagate}}));
  compute->add_option("--gradient-out", flags->gradient_out,
                      ".npy to write: logits' shape and type");
  compute->add_option("--row-losses-out", flags->row_losses_out,
                      ".npy to write: labels' shape, logits' type");
  compute->add_option("--log-sum-exp-out", flags->log_sum_exp_out,
                      ".npy to write: labels' shape, logits' type");
  compute->add_option("--predictions-out", flags->predictions_out,
                      ".npy to write: labels' shape, int64");
}

}  // namespace

void AddCompute(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* compute = app.add_subcommand(
      "compute", "Compute the loss of a batch in .npy files");
  const auto flags = std::make_shared<ComputeFlags>();
  AddFlags(compute, flags.get());
  compute->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunCompute(common, *flags); };
  });
}

}  // namespace lossd::lossctl
