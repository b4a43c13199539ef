#include "tests/e2e/fault/load.h"

#include <grpc/grpc.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

#include "absl/time/clock.h"
#include "absl/types/span.h"

namespace lossd {
namespace {

// Before a caller comes again that was refused: what the server asks for.
constexpr absl::Duration kAfterRefusal = absl::Milliseconds(200);

// -ln p of the label, by the formula.
long double LossOfRow(absl::Span<const float> z, int64_t label) {
  long double largest = z[0];
  for (const float logit : z) largest = std::max<long double>(largest, logit);
  long double sum = 0;
  for (const float logit : z) sum += std::exp(logit - largest);
  return largest + std::log(sum) - z[label];
}

}  // namespace

KnownBatch::KnownBatch(int64_t rows_in, int64_t classes_in)
    : rows(rows_in), classes(classes_in) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  for (int64_t i = 0; i < rows * classes; ++i) {
    logits.push_back(normal(random));
  }
  long double sum = 0;
  for (int64_t row = 0; row < rows; ++row) {
    labels.push_back(static_cast<int64_t>(random() % classes));
    sum += LossOfRow(absl::MakeSpan(logits).subspan(row * classes, classes),
                     labels.back());
  }
  loss = static_cast<double>(sum / rows);
}

Load::Load(const KnownBatch& batch, const Options& options) : batch_(batch) {
  // Never ended: after connections that broke, the end of gRPC's last user
  // waits for one of its own threads, for 10 s (1.51).
  static const bool initialized = (grpc_init(), true);
  static_cast<void>(initialized);
  for (int i = 0; i < options.callers; ++i) {
    callers_.emplace_back([this, options] { Run(options); });
  }
}

Load::~Load() { Stop(); }

void Load::Stop() {
  stopping_ = true;
  for (std::thread& caller : callers_) caller.join();
  callers_.clear();
}

std::map<absl::StatusCode, std::string> Load::messages() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return messages_;
}

void Load::Run(const Options& options) {
  const auto client =
      Client::Connect({.target = options.target,
                       .retry = {.max_attempts = options.max_attempts}});
  if (!client.ok()) std::abort();
  std::vector<float> gradient(batch_.logits.size());
  while (!stopping_) {
    const auto summary =
        client->ComputeLoss<float>({.rows = batch_.rows,
                                    .classes = batch_.classes,
                                    .logits = batch_.logits,
                                    .labels = batch_.labels},
                                   {}, CallOptions(options.timeout),
                                   {.gradient = absl::MakeSpan(gradient)});
    if (summary.ok()) {
      ++succeeded_;
      // The scalar loss is promised to 2^-40.
      if (!(std::abs(*summary->loss / batch_.loss - 1) < 0x1p-40)) ++wrong_;
      continue;
    }
    ++failed_;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      messages_[summary.status().code()] =
          std::string(summary.status().message());
    }
    absl::SleepFor(kAfterRefusal);
  }
}

}  // namespace lossd
