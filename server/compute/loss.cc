#include "server/compute/loss.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/compute/compensated_sum.h"
#include "server/compute/error.h"
#include "server/compute/losses/softmax_cross_entropy.h"

namespace lossd::compute {
namespace {

// Rows are shared out and stop checks made in blocks of about this many logits:
// some 30 us of work, so that neither costs anything.
constexpr int64_t kBlockLogits = 32768;

// Wide enough for any use; beyond, products of divisor and exponentials could
// leave float64's range.
constexpr double kMinDivisor = 1e-100;
constexpr double kMaxDivisor = 1e100;

// Counts the rows that are not ignored, or names the first label out of range.
absl::StatusOr<int64_t> CountRows(const Batch& batch,
                                  std::optional<int64_t> ignore_index) {
  int64_t row_count = 0;
  for (int64_t row = 0; row < batch.rows; ++row) {
    const int64_t label = batch.labels[row];
    if (label == ignore_index) continue;
    if (label < 0 || label >= batch.classes) {
      return MakeError(absl::StatusCode::kInvalidArgument,
                       absl::StrFormat("labels[%d] = %d, want [0, %d)", row,
                                       label, batch.classes),
                       {"LABEL_OUT_OF_RANGE",
                        "labels",
                        {{"row", absl::StrCat(row)},
                         {"label", absl::StrCat(label)},
                         {"classes", absl::StrCat(batch.classes)}}});
    }
    ++row_count;
  }
  return row_count;
}

template <typename T>
absl::Status NonFiniteError(const std::byte* logits, int64_t row,
                            int64_t classes) {
  for (int64_t i = 0; i < classes; ++i) {
    T value;
    std::memcpy(&value, logits + i * static_cast<int64_t>(sizeof(T)),
                sizeof(T));
    if (value < std::numeric_limits<T>::infinity()) continue;
    const char* name = std::isnan(value) ? "nan" : "inf";
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrFormat("logits[%d, %d] = %s, want a finite number or -inf "
                        "(row %d, class %d)",
                        row, i, name, row, i),
        {"NON_FINITE_LOGIT",
         "logits",
         {{"row", absl::StrCat(row)},
          {"class", absl::StrCat(i)},
          {"value", name}}});
  }
  return MakeError(
      absl::StatusCode::kInvalidArgument,
      absl::StrFormat("logits[%d] has nothing but -inf in its %d classes, want "
                      "at least one above (row %d)",
                      row, classes, row),
      {"NO_POSSIBLE_CLASS",
       "logits",
       {{"row", absl::StrCat(row)}, {"classes", absl::StrCat(classes)}}});
}

absl::Status NonFiniteError(const Batch& batch, const RowSource& logits,
                            int64_t row) {
  std::vector<std::byte> scratch;
  const std::byte* bytes = logits.Row(row, scratch);
  switch (batch.logits_type) {
    case ElementType::kFloat32:
      return NonFiniteError<float>(bytes, row, batch.classes);
    case ElementType::kFloat64:
      return NonFiniteError<double>(bytes, row, batch.classes);
  }
  return absl::InternalError("unknown element type");
}

// What the blocks of one call find out together.
class Findings {
 public:
  bool stopped() const { return stopped_.load(std::memory_order_relaxed); }
  int64_t first_bad_row() const {
    return first_bad_row_.load(std::memory_order_relaxed);
  }
  int64_t correct_count() const { return correct_count_.load(); }
  absl::Status status() {
    std::lock_guard<std::mutex> lock(mutex_);
    return status_;
  }

  void Stop(absl::Status status) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (status_.ok()) status_ = std::move(status);
    stopped_.store(true, std::memory_order_relaxed);
  }

  void Add(const SoftmaxCrossEntropyCounts& counts) {
    correct_count_.fetch_add(counts.correct_count, std::memory_order_relaxed);
    if (counts.first_bad_row < 0) return;
    int64_t first = first_bad_row_.load(std::memory_order_relaxed);
    while (counts.first_bad_row < first &&
           !first_bad_row_.compare_exchange_weak(first, counts.first_bad_row)) {
    }
  }

 private:
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> correct_count_{0};
  std::atomic<int64_t> first_bad_row_{std::numeric_limits<int64_t>::max()};
  std::mutex mutex_;
  absl::Status status_;  // guarded by mutex_
};

absl::StatusOr<LossSummary> Compute(const SoftmaxCrossEntropy& spec,
                                    const LossOptions& options,
                                    const Batch& batch,
                                    const LossOutputs& outputs,
                                    ThreadPool& pool, StopCheck stop_check) {
  if (absl::Status status = CheckLossOptions(options); !status.ok())
    return status;
  const absl::StatusOr<int64_t> row_count = CountRows(batch, spec.ignore_index);
  if (!row_count.ok()) return row_count.status();

  LossSummary summary;
  summary.row_count = *row_count;
  if (options.reduction == Reduction::kMean) {
    summary.divisor =
        options.divisor.value_or(static_cast<double>(summary.row_count));
  }
  // Without rows, no bytes stand behind `classes` and the product may overflow.
  const int64_t row_bytes =
      batch.rows == 0 ? 1 : batch.classes * ElementBytes(batch.logits_type);
  const RowSource logits(batch.logits, row_bytes);
  // Where the divisor is 0 every row is ignored and it is not used.
  const SoftmaxCrossEntropyJob job = {
      &batch, &logits, &outputs, spec.ignore_index, summary.divisor, &pool};
  std::vector<double> row_losses(batch.rows);
  const bool reject = options.non_finite_policy == NonFinitePolicy::kReject;
  const int64_t block_rows = std::max<int64_t>(1, kBlockLogits / batch.classes);
  Findings findings;
  pool.ForEachBlock((batch.rows + block_rows - 1) / block_rows, [&](int64_t b) {
    const int64_t first = b * block_rows;
    if (findings.stopped() || (reject && findings.first_bad_row() < first)) {
      return;
    }
    if (absl::Status status = stop_check(); !status.ok()) {
      return findings.Stop(std::move(status));
    }
    findings.Add(ComputeSoftmaxCrossEntropyRows(
        job, first, std::min(first + block_rows, batch.rows),
        row_losses.data()));
  });
  if (findings.stopped()) return findings.status();
  if (reject && findings.first_bad_row() < batch.rows) {
    return NonFiniteError(batch, logits, findings.first_bad_row());
  }
  summary.correct_count = findings.correct_count();
  if (options.reduction != Reduction::kNone) {
    CompensatedSum sum;
    for (const double loss : row_losses) sum.Add(loss);
    summary.loss = sum.Total() / summary.divisor;
  }
  return summary;
}

}  // namespace

absl::Status CheckLossOptions(const LossOptions& options) {
  if (!options.divisor.has_value()) return absl::OkStatus();
  const std::string value = absl::StrCat(*options.divisor);
  if (options.reduction != Reduction::kMean) {
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("divisor = ", value, ", want none: it is for the mean"),
        {"DIVISOR_WITHOUT_MEAN", "divisor", {{"divisor", value}}});
  }
  if (!(*options.divisor >= kMinDivisor && *options.divisor <= kMaxDivisor)) {
    return MakeError(
        absl::StatusCode::kInvalidArgument,
        absl::StrCat("divisor = ", value, ", want [1e-100, 1e+100]"),
        {"OPTION_OUT_OF_RANGE", "divisor", {{"divisor", value}}});
  }
  return absl::OkStatus();
}

absl::StatusOr<LossSummary> ComputeLoss(
    const LossSpec& spec, const LossOptions& options, const Batch& batch,
    const LossOutputs& outputs, ThreadPool& pool, StopCheck stop_check) {
  return std::visit(
      [&](const auto& loss) {
        return Compute(loss, options, batch, outputs, pool, stop_check);
      },
      spec);
}

}  // namespace lossd::compute
