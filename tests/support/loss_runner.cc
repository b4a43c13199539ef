#include "tests/support/loss_runner.h"

#include <utility>

#include "absl/types/span.h"
#include "tests/support/elements.h"
#include "tests/support/test_memory.h"

namespace lossd::testing {
namespace {

ExactBytes LabelBytes(const std::vector<int64_t>& labels,
                      const RunSettings& settings) {
  if (settings.label_type == compute::ClassIndices::Type::kInt64) {
    return {labels.data(), labels.size() * 8, settings.input_offset};
  }
  const std::vector<int32_t> narrow(labels.begin(), labels.end());
  return {narrow.data(), narrow.size() * 4, settings.input_offset};
}

CutBytes TargetBytes(const RunSettings& settings) {
  return compute::WithElementType(settings.target_type, [&](auto zero) {
    return CutBytes(Narrowed<decltype(zero)>(settings.target_probabilities),
                    settings.target_cuts, settings.input_offset);
  });
}

// A batch's inputs, laid out as the settings say.
template <typename T>
class Inputs {
 public:
  Inputs(const TestBatch<T>& batch, const RunSettings& settings)
      : logits_(batch.logits, settings.cuts, settings.input_offset),
        labels_(LabelBytes(batch.labels, settings)),
        targets_(TargetBytes(settings)),
        class_weights_(settings.class_weights),
        row_weights_(settings.row_weights),
        upstream_(settings.upstream),
        loss_(settings.loss) {
    if (!class_weights_.empty()) loss_.class_weights = class_weights_;
    batch_.rows = batch.rows;
    batch_.classes = batch.classes;
    batch_.logits_type = ElementTypeOf<T>();
    batch_.logits = logits_.pieces();
    batch_.labels =
        compute::ClassIndices(settings.label_type, labels_.span().data(),
                              static_cast<int64_t>(batch.labels.size()));
    if (!settings.target_probabilities.empty()) {
      batch_.labels =
          compute::FloatTargets{settings.target_type, targets_.pieces()};
    }
    batch_.row_weights = row_weights_;
    batch_.upstream_gradient = upstream_;
  }
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  const compute::Batch& batch() const { return batch_; }
  const compute::SoftmaxCrossEntropy& loss() const { return loss_; }

 private:
  CutBytes logits_;
  ExactBytes labels_;
  CutBytes targets_;
  // Copies, which are exactly as long as said on the heap.
  std::vector<double> class_weights_;
  std::vector<double> row_weights_;
  std::vector<double> upstream_;
  compute::SoftmaxCrossEntropy loss_;
  compute::Batch batch_;
};

// Room for the outputs that the settings ask for.
template <typename T>
class Outputs {
 public:
  Outputs(const TestBatch<T>& batch, const RunSettings& settings)
      : settings_(settings),
        rows_(batch.rows),
        gradient_(Bytes(kGradient, batch.classes * GradientElement())),
        probabilities_(Bytes(kProbabilities, batch.classes * sizeof(T))),
        log_probabilities_(Bytes(kLogProbabilities, batch.classes * sizeof(T))),
        row_losses_(Bytes(kRowLosses, sizeof(T))),
        log_sum_exp_(Bytes(kLogSumExp, sizeof(T))),
        predictions_(Bytes(kPredictions, sizeof(int64_t))) {}

  compute::LossOutputs views() {
    compute::LossOutputs views;
    views.gradient = gradient_.span();
    views.probabilities = probabilities_.span();
    views.log_probabilities = log_probabilities_.span();
    views.row_losses = row_losses_.span();
    views.log_sum_exp = log_sum_exp_.span();
    views.predictions = predictions_.span();
    views.gradient_type = settings_.gradient_type;
    return views;
  }

  void ExpectGuardsUntouched() const {
    EXPECT_TRUE(gradient_.GuardsAreUntouched());
    EXPECT_TRUE(probabilities_.GuardsAreUntouched());
    EXPECT_TRUE(log_probabilities_.GuardsAreUntouched());
    EXPECT_TRUE(row_losses_.GuardsAreUntouched());
    EXPECT_TRUE(log_sum_exp_.GuardsAreUntouched());
    EXPECT_TRUE(predictions_.GuardsAreUntouched());
  }

  LossRun<T> Read(const compute::LossSummary& summary) const {
    LossRun<T> run;
    run.summary = summary;
    if (settings_.gradient_type.has_value()) {
      run.gradient_wide =
          compute::WithElementType(*settings_.gradient_type, [&](auto zero) {
            return Wide(gradient_.template Read<decltype(zero)>());
          });
    } else {
      run.gradient = gradient_.template Read<T>();
    }
    run.probabilities = probabilities_.template Read<T>();
    run.log_probabilities = log_probabilities_.template Read<T>();
    run.row_losses = row_losses_.template Read<T>();
    run.log_sum_exp = log_sum_exp_.template Read<T>();
    run.predictions = predictions_.template Read<int64_t>();
    return run;
  }

 private:
  GuardedBytes Bytes(unsigned output, size_t bytes_per_row) const {
    const size_t rows = settings_.outputs & output ? rows_ : 0;
    return GuardedBytes(rows * bytes_per_row, settings_.output_offset);
  }
  size_t GradientElement() const {
    return compute::ElementBytes(
        settings_.gradient_type.value_or(ElementTypeOf<T>()));
  }

  const RunSettings& settings_;
  const size_t rows_;
  GuardedBytes gradient_;
  GuardedBytes probabilities_;
  GuardedBytes log_probabilities_;
  GuardedBytes row_losses_;
  GuardedBytes log_sum_exp_;
  GuardedBytes predictions_;
};

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
  const Inputs<T> inputs(batch, settings);
  Outputs<T> outputs(batch, settings);
  compute::ThreadPool pool(settings.threads);
  const absl::StatusOr<compute::LossSummary> summary = compute::ComputeLoss(
      inputs.loss(), settings.options, inputs.batch(), outputs.views(), pool,
      [&] {
        return settings.stop_check ? settings.stop_check() : absl::OkStatus();
      });
  outputs.ExpectGuardsUntouched();
  if (!summary.ok()) return summary.status();
  return outputs.Read(*summary);
}

template <typename T>
LossRun<T> MustRunLoss(const TestBatch<T>& batch, const RunSettings& settings) {
  absl::StatusOr<LossRun<T>> run = RunLoss(batch, settings);
  if (run.ok()) return *std::move(run);
  ADD_FAILURE() << "ComputeLoss refused a batch of " << batch.rows << " x "
                << batch.classes << ": " << run.status();
  // The right sizes, so that a test can go on to report what it finds.
  LossRun<T> blank;
  if (settings.gradient_type.has_value()) {
    blank.gradient_wide.resize(batch.logits.size());
  } else {
    blank.gradient.resize(batch.logits.size());
  }
  blank.probabilities.resize(batch.logits.size());
  blank.log_probabilities.resize(batch.logits.size());
  blank.row_losses.resize(batch.rows);
  blank.log_sum_exp.resize(batch.rows);
  blank.predictions.resize(batch.rows);
  return blank;
}

template <typename T>
::testing::AssertionResult SameBits(const std::vector<T>& a,
                                    const std::vector<T>& b) {
  if (a.size() != b.size()) {
    return ::testing::AssertionFailure()
           << "sizes " << a.size() << " and " << b.size();
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (!SameBits(a[i], b[i])) {
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
  if (auto same = SameBits(a.gradient_wide, b.gradient_wide); !same) {
    return same << " of the gradient in its own type";
  }
  if (auto same = SameBits(a.probabilities, b.probabilities); !same) {
    return same << " of probabilities";
  }
  if (auto same = SameBits(a.log_probabilities, b.log_probabilities); !same) {
    return same << " of log_probabilities";
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
LOSSD_INSTANTIATE(compute::Float16)
LOSSD_INSTANTIATE(compute::BFloat16)
#undef LOSSD_INSTANTIATE
template ::testing::AssertionResult SameBits(const std::vector<int64_t>&,
                                             const std::vector<int64_t>&);

}  // namespace lossd::testing
