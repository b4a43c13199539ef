// lossctl hvp: the Hessian of a batch's loss times a vector.
#include <fmt/core.h>

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/lossctl/batch_files.h"
#include "client/lossctl/command.h"
#include "client/lossctl/loss_flags.h"
#include "client/lossctl/output_file.h"

namespace lossd::lossctl {
namespace {

struct HvpFlags {
  BatchFlags batch;
  LossFlags loss;
  std::string vector;
  std::string product_out;
};

template <typename T>
absl::StatusOr<std::vector<T>> ReadVector(const std::string& path,
                                          const Shape& want) {
  const auto array = ReadNpy(path);
  if (!array.ok()) return array.status();
  if (array->shape != want) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": a vector of shape ", ShapeString(array->shape),
                     ", want the logits' ", ShapeString(want)));
  }
  return FloatsOf<T>(path, *array);
}

template <typename T>
int Hvp(const CommonFlags& common, HvpFlags& flags,
        const BatchArrays<T>& input) {
  const CallOptions call = CallOptionsFrom(common);
  absl::Status status = flags.loss.Read(input.rows, input.classes);
  const auto vector = ReadVector<T>(flags.vector, input.logits_shape);
  status.Update(vector.status());
  OutputFiles files;
  status.Update(files.Open(flags.product_out));
  const auto client = ConnectClient(common);
  status.Update(client.status());
  if (!status.ok()) return BadUsage(status);

  std::vector<T> product(input.logits.size());
  status = client->template ComputeHessianVectorProduct<T>(
      input.View(flags.loss), flags.loss.options(), *vector, call,
      absl::MakeSpan(product));
  if (!status.ok()) return Fail(common, status);
  status = files.Write(flags.product_out, product, input.logits_shape);
  if (status.ok()) status = files.CommitAll();
  if (!status.ok()) return Fail(common, status);
  if (common.json) {
    PrintJson({{"product", flags.product_out}});
  } else {
    fmt::print("wrote          {}\n", flags.product_out);
  }
  return kDone;
}

int RunHvp(const CommonFlags& common, HvpFlags& flags) {
  const auto input = ReadBatch(flags.batch);
  if (!input.ok()) return BadUsage(input.status());
  return std::visit(
      [&](const auto& arrays) { return Hvp(common, flags, arrays); }, *input);
}

}  // namespace

void AddHvp(CLI::App& app, const CommonFlags& common, Command* chosen) {
  CLI::App* hvp = app.add_subcommand(
      "hvp", "Compute the Hessian of a batch's loss times a vector");
  const auto flags = std::make_shared<HvpFlags>();
  AddBatchFlags(hvp, &flags->batch);
  hvp->add_option("--vector", flags->vector, ".npy, the logits' shape")
      ->required();
  hvp->add_option("--product-out", flags->product_out,
                  ".npy to write: logits' shape and type")
      ->required();
  flags->loss.AddTo(hvp);
  hvp->callback([&common, chosen, flags] {
    *chosen = [&common, flags] { return RunHvp(common, *flags); };
  });
}

}  // namespace lossd::lossctl
