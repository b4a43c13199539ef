// lossctl compute: one batch from .npy files.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "client/lossctl/batch_files.h"
#include "client/lossctl/command.h"
#include "client/lossctl/loss_flags.h"
#include "client/lossctl/output_file.h"
#include "client/lossctl/progress_bar.h"

namespace lossd::lossctl {
namespace {

struct ComputeFlags {
  BatchFlags batch;
  LossFlags loss;
  NonFinitePolicy non_finite_policy = NonFinitePolicy::kReject;
  std::string gradient_data_type;  // empty: the logits'
  std::string gradient_out;
  std::string row_losses_out;
  std::string log_sum_exp_out;
  std::string probabilities_out;
  std::string log_probabilities_out;
  std::string predictions_out;
  bool stream = false;

  std::vector<std::string> OutputPaths() const {
    return {gradient_out,      row_losses_out,        log_sum_exp_out,
            probabilities_out, log_probabilities_out, predictions_out};
  }
};

// The outputs that were asked for; the others are empty.
template <typename T, typename G>
struct Results {
  Results(const ComputeFlags& flags, size_t elements, size_t rows)
      : gradient(flags.gradient_out.empty() ? 0 : elements),
        row_losses(flags.row_losses_out.empty() ? 0 : rows),
        log_sum_exp(flags.log_sum_exp_out.empty() ? 0 : rows),
        probabilities(flags.probabilities_out.empty() ? 0 : elements),
        log_probabilities(flags.log_probabilities_out.empty() ? 0 : elements),
        predictions(flags.predictions_out.empty() ? 0 : rows) {}

  LossOutputs<T, G> Spans() {
    return {.gradient = absl::MakeSpan(gradient),
            .row_losses = absl::MakeSpan(row_losses),
            .log_sum_exp = absl::MakeSpan(log_sum_exp),
            .probabilities = absl::MakeSpan(probabilities),
            .log_probabilities = absl::MakeSpan(log_probabilities),
            .predictions = absl::MakeSpan(predictions)};
  }

  std::vector<G> gradient;
  std::vector<T> row_losses;
  std::vector<T> log_sum_exp;
  std::vector<T> probabilities;
  std::vector<T> log_probabilities;
  std::vector<int64_t> predictions;
};

template <typename T, typename G>
absl::Status WriteFiles(const ComputeFlags& flags, const BatchArrays<T>& input,
                        const Results<T, G>& results, OutputFiles& files) {
  const Shape& logits = input.logits_shape;
  const Shape& rows = input.rows_shape;
  absl::Status status =
      files.Write(flags.gradient_out, results.gradient, logits);
  status.Update(files.Write(flags.row_losses_out, results.row_losses, rows));
  status.Update(files.Write(flags.log_sum_exp_out, results.log_sum_exp, rows));
  status.Update(
      files.Write(flags.probabilities_out, results.probabilities, logits));
  status.Update(files.Write(flags.log_probabilities_out,
                            results.log_probabilities, logits));
  status.Update(files.Write(flags.predictions_out, results.predictions, rows));
  if (status.ok()) status = files.CommitAll();
  return status;
}

void PrintSummary(const CommonFlags& common, const ComputeFlags& flags,
                  const LossSummary& summary, int64_t rows) {
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
  for (const std::string& path : flags.OutputPaths()) {
    if (!path.empty()) fmt::print("wrote          {}\n", path);
  }
}

// Why these flags do not go with --stream.
absl::Status CheckStream(const ComputeFlags& flags, int64_t inner) {
  if (!flags.stream) return absl::OkStatus();
  if (inner != 1) {
    return absl::InvalidArgumentError(
        fmt::format("--stream with --class-axis {}, want the last axis: its "
                    "chunks are of whole rows",
                    flags.batch.class_axis));
  }
  for (const auto& [flag, path] :
       {std::pair("--probabilities-out", &flags.probabilities_out),
        std::pair("--log-probabilities-out", &flags.log_probabilities_out)}) {
    if (path->empty()) continue;
    return absl::InvalidArgumentError(fmt::format(
        "--stream with {}, want one of them: these come in one message", flag));
  }
  return absl::OkStatus();
}

template <typename G, typename T>
int Compute(const CommonFlags& common, ComputeFlags& flags,
            const BatchArrays<T>& input) {
  CallOptions call = CallOptionsFrom(common);
  if (flags.stream) call.transfer = Transfer::kStream;
  OutputFiles files;
  absl::Status status = CheckStream(flags, input.inner);
  status.Update(flags.loss.Read(input.rows, input.classes));
  for (const std::string& path : flags.OutputPaths()) {
    status.Update(files.Open(path));
  }
  const auto client = ConnectClient(common);
  status.Update(client.status());
  if (!status.ok()) return BadUsage(status);

  LossOptions options = flags.loss.options();
  options.non_finite_policy = flags.non_finite_policy;
  Results<T, G> results(flags, input.logits.size(), input.rows);
  const auto summary = [&] {
    ProgressBar bar(isatty(STDERR_FILENO) == 1 ? stderr : nullptr, absl::Now());
    call.progress = [&bar](int64_t rows_done, int64_t rows) {
      bar.Update(rows_done, rows, absl::Now());
    };
    return client->template ComputeLoss<T, G>(input.View(flags.loss), options,
                                              call, results.Spans());
  }();
  if (!summary.ok()) return Fail(common, summary.status());
  status = WriteFiles(flags, input, results, files);
  if (!status.ok()) return Fail(common, status);
  PrintSummary(common, flags, *summary, input.rows);
  return kDone;
}

template <typename T>
int ComputeAnyGradient(const CommonFlags& common, ComputeFlags& flags,
                       const BatchArrays<T>& input) {
  if (flags.gradient_data_type == "float32") {
    return Compute<float>(common, flags, input);
  }
  if (flags.gradient_data_type == "float64") {
    return Compute<double>(common, flags, input);
  }
  return Compute<T>(common, flags, input);
}

int RunCompute(const CommonFlags& common, ComputeFlags& flags) {
  const auto input = ReadBatch(flags.batch);
  if (!input.ok()) return BadUsage(input.status());
  return std::visit(
      [&](const auto& arrays) {
        return ComputeAnyGradient(common, flags, arrays);
      },
      *input);
}

void AddFlags(CLI::App* compute, ComputeFlags* flags) {
  AddBatchFlags(compute, &flags->batch);
  flags->loss.AddTo(compute);
  compute
      ->add_option("--non-finite-policy", flags->non_finite_policy,
                   "What to do with NaN and +inf logits; default reject")
      ->transform(
          CLI::CheckedTransformer(std::map<std::string, NonFinitePolicy>{
              {"reject", NonFinitePolicy::kReject},
              {"propagate", NonFinitePolicy::kPropagate}}));
  compute->add_flag("--stream", flags->stream,
                    "Send the logits in chunks of rows, whatever the batch's "
                    "size; default: from 4 MiB on, or when the server takes "
                    "less. The class axis must be the last; not with "
                    "--probabilities-out or --log-probabilities-out");
  const auto add = [compute](const char* flag, std::string* path,
                             const char* what) {
    return compute->add_option(flag, *path,
                               std::string(".npy to write: ") + what);
  };
  const char* per_logit = "logits' shape and type";
  const char* per_row = "a number per row, logits' type";
  CLI::Option* gradient_out =
      add("--gradient-out", &flags->gradient_out,
          "logits' shape, type as --gradient-data-type says");
  compute
      ->add_option("--gradient-data-type", flags->gradient_data_type,
                   "The gradient's element type, the only result that it "
                   "rounds; default the logits'")
      ->check(CLI::IsMember({"float32", "float64"}))
      ->needs(gradient_out);
  add("--row-losses-out", &flags->row_losses_out, per_row);
  add("--log-sum-exp-out", &flags->log_sum_exp_out, per_row);
  add("--probabilities-out", &flags->probabilities_out, per_logit);
  add("--log-probabilities-out", &flags->log_probabilities_out, per_logit);
  add("--predictions-out", &flags->predictions_out, "a class per row, int64");
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
