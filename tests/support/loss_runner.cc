#include "tests/support/loss_runner.h"

#include <cstring>
#include <memory>
#include <new>
#include <type_traits>

#include "absl/types/span.h"

namespace lossd::testing {
namespace {

constexpr size_t kAlignment = 64;
constexpr auto kGuard = static_cast<std::byte>(0xA5);

// `size` bytes at `offset` past a multiple of kAlignment, between guard bytes.
class GuardedBytes {
 public:
  GuardedBytes(size_t size, size_t offset)
      : bytes_(size + 3 * kAlignment, kGuard), size_(size) {
    void* address = bytes_.data() + 1;
    size_t room = bytes_.size() - 1;
    begin_ = static_cast<std::byte*>(
                 std::align(kAlignment, 2 * kAlignment, address, room)) +
             offset;
  }

  absl::Span<std::byte> span() { return {begin_, size_}; }

  bool GuardsAreUntouched() const {
    for (const std::byte& b : bytes_) {
      if ((&b < begin_ || &b >= begin_ + size_) && b != kGuard) return false;
    }
    return true;
  }

 private:
  std::vector<std::byte> bytes_;
  size_t size_;
  std::byte* begin_;
};

// Exactly as many bytes on the heap as said, so that address sanitizer sees a
// read past either end; only the offset lies before them.
class ExactBytes {
 public:
  ExactBytes(const void* data, size_t size, size_t offset)
      : buffer_(static_cast<std::byte*>(
            ::operator new (offset + size, std::align_val_t{kAlignment}))),
        span_(buffer_.get() + offset, size) {
    if (size > 0) std::memcpy(buffer_.get() + offset, data, size);
  }

  absl::Span<const std::byte> span() const { return span_; }

 private:
  struct Free {
    void operator()(std::byte* p) const {
      ::operator delete (p, std::align_val_t{kAlignment});
    }
  };
  std::unique_ptr<std::byte, Free> buffer_;
  absl::Span<const std::byte> span_;
};

std::vector<ExactBytes> CutIntoPieces(const std::byte* data, size_t size,
                                      const RunSettings& settings) {
  std::vector<ExactBytes> pieces;
  size_t begin = 0;
  for (size_t cut : settings.cuts) {
    pieces.emplace_back(data + begin, cut - begin, settings.input_offset);
    begin = cut;
  }
  pieces.emplace_back(data + begin, size - begin, settings.input_offset);
  return pieces;
}

ExactBytes LabelBytes(const std::vector<int64_t>& labels,
                      const RunSettings& settings) {
  if (settings.label_type == compute::ClassIndices::Type::kInt64) {
    return {labels.data(), labels.size() * 8, settings.input_offset};
  }
  const std::vector<int32_t> narrow(labels.begin(), labels.end());
  return {narrow.data(), narrow.size() * 4, settings.input_offset};
}

template <typename T>
std::vector<T> Read(GuardedBytes& bytes) {
  std::vector<T> values(bytes.span().size() / sizeof(T));
  if (!values.empty()) {
    std::memcpy(values.data(), bytes.span().data(), bytes.span().size());
  }
  return values;
}

bool SameBits(double a, double b) { return std::memcmp(&a, &b, sizeof a) == 0; }

}  // namespace

template <typename T>
TestBatch<T> DrawBatch(Distribution distribution, int64_t rows, int64_t classes,
                       uint64_t seed) {
  Random random(seed);
  TestBatch<T> batch{rows, classes, {}, {}};
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<T> row = DrawRow<T>(distribution, classes, random);
    batch.labels.push_back(DrawLabel<T>(row, random));
    batch.logits.insert(batch.logits.end(), row.begin(), row.end());
  }
  return batch;
}

template <typename T>
absl::StatusOr<LossRun<T>> RunLoss(const TestBatch<T>& batch,
                                   const RunSettings& settings) {
  const auto* logits = reinterpret_cast<const std::byte*>(batch.logits.data());
  const std::vector<ExactBytes> pieces =
      CutIntoPieces(logits, batch.logits.size() * sizeof(T), settings);
  std::vector<absl::Span<const std::byte>> spans;
  for (const ExactBytes& piece : pieces) spans.push_back(piece.span());
  const ExactBytes labels = LabelBytes(batch.labels, settings);

  const auto output_bytes = [&](unsigned output, size_t bytes_per_row) {
    const size_t rows = settings.outputs & output ? batch.rows : 0;
    return GuardedBytes(rows * bytes_per_row, settings.output_offset);
  };
  GuardedBytes gradient = output_bytes(kGradient, batch.classes * sizeof(T));
  GuardedBytes row_losses = output_bytes(kRowLosses, sizeof(T));
  GuardedBytes log_sum_exp = output_bytes(kLogSumExp, sizeof(T));
  GuardedBytes predictions = output_bytes(kPredictions, sizeof(int64_t));

  const compute::Batch views{
      .rows = batch.rows,
      .classes = batch.classes,
      .logits_type = std::is_same_v<T, float> ? compute::ElementType::kFloat32
                                              : compute::ElementType::kFloat64,
      .logits = spans,
      .labels = {settings.label_type, labels.span().data(),
                 static_cast<int64_t>(batch.labels.size())}};
  const compute::LossOutputs outputs{.gradient = gradient.span(),
                                     .row_losses = row_losses.span(),
                                     .log_sum_exp = log_sum_exp.span(),
                                     .predictions = predictions.span()};
  compute::ThreadPool pool(settings.threads);
  const absl::StatusOr<compute::LossSummary> summary = compute::ComputeLoss(
      settings.loss, settings.options, views, outputs, pool, [&] {
        return settings.stop_check ? settings.stop_check() : absl::OkStatus();
      });

  EXPECT_TRUE(gradient.GuardsAreUntouched());
  EXPECT_TRUE(row_losses.GuardsAreUntouched());
  EXPECT_TRUE(log_sum_exp.GuardsAreUntouched());
  EXPECT_TRUE(predictions.GuardsAreUntouched());
  if (!summary.ok()) return summary.status();
  return LossRun<T>{*summary, Read<T>(gradient), Read<T>(row_losses),
                    Read<T>(log_sum_exp), Read<int64_t>(predictions)};
}

template <typename T>
LossRun<T> MustRunLoss(const TestBatch<T>& batch, const RunSettings& settings) {
  absl::StatusOr<LossRun<T>> run = RunLoss(batch, settings);
  if (run.ok()) return *std::move(run);
  ADD_FAILURE() << "ComputeLoss refused a batch of " << batch.rows << " x "
                << batch.classes << ": " << run.status();
  // The right sizes, so that a test can go on to report what it finds.
  return {{},
          std::vector<T>(batch.logits.size()),
          std::vector<T>(batch.rows),
          std::vector<T>(batch.rows),
          std::vector<int64_t>(batch.rows)};
}

template <typename T>
::testing::AssertionResult SameBits(const std::vector<T>& a,
                                    const std::vector<T>& b) {
  if (a.size() != b.size()) {
    return ::testing::AssertionFailure()
           << "sizes " << a.size() << " and " << b.size();
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::memcmp(&a[i], &b[i], sizeof(T)) != 0) {
      return ::testing::AssertionFailure()
             << "element " << i << ": " << ::testing::PrintToString(a[i])
             << " and " << ::testing::PrintToString(b[i]);
    }
  }
  return ::testing::AssertionSuccess();
}

template <typename T>
::testing::AssertionResult SameBits(const LossRun<T>& a, const LossRun<T>& b) {
  const compute::LossSummary& x = a.summary;
  const compute::LossSummary& y = b.summary;
  if (x.loss.has_value() != y.loss.has_value() ||
      !SameBits(x.loss.value_or(0), y.loss.value_or(0))) {
    return ::testing::AssertionFailure()
           << "losses " << ::testing::PrintToString(x.loss) << " and "
           << ::testing::PrintToString(y.loss);
  }
  if (x.row_count != y.row_count || x.correct_count != y.correct_count ||
      !SameBits(x.divisor, y.divisor)) {
    return ::testing::AssertionFailure() << "counts or divisors differ";
  }
  if (auto same = SameBits(a.gradient, b.gradient); !same) {
    return same << " of the gradient";
  }
  if (auto same = SameBits(a.row_losses, b.row_losses); !same) {
    return same << " of row_losses";
  }
  if (auto same = SameBits(a.log_sum_exp, b.log_sum_exp); !same) {
    return same << " of log_sum_exp";
  }
  if (auto same = SameBits(a.predictions, b.predictions); !same) {
    return same << " of predictions";
  }
  return ::testing::AssertionSuccess();
}

#define LOSSD_INSTANTIATE(T)                                                 \
  template TestBatch<T> DrawBatch(Distribution, int64_t, int64_t, uint64_t); \
  template absl::StatusOr<LossRun<T>> RunLoss(const TestBatch<T>&,           \
                                              const RunSettings&);           \
  template LossRun<T> MustRunLoss(const TestBatch<T>&, const RunSettings&);  \
  template ::testing::AssertionResult SameBits(const LossRun<T>&,            \
                                               const LossRun<T>&);           \
  template ::testing::AssertionResult SameBits(const std::vector<T>&,        \
                                               const std::vector<T>&);
LOSSD_INSTANTIATE(float)
LOSSD_INSTANTIATE(double)
#undef LOSSD_INSTANTIATE
template ::testing::AssertionResult SameBits(const std::vector<int64_t>&,
                                             const std::vector<int64_t>&);

}  // namespace lossd::testing
