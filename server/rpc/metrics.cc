#include "server/rpc/metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace lossd::rpc {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

// In the order of Phase.
constexpr const char* kPhaseNames[kPhases] = {"receive", "queue", "compute",
                                              "send"};

// There from the start, so that a rate() sees the first one. OUT_OF_MEMORY and
// others appear when they happen.
constexpr const char* kUsualRefusals[] = {
    "DRAINING", "OVERLOADED", "REQUEST_TOO_LARGE", "SENT_TOO_SLOWLY"};

constexpr auto kBoundsNs = [] {
  std::array<int64_t, DurationHistogram::kBounds.size()> bounds{};
  for (size_t i = 0; i < bounds.size(); ++i) {
    bounds[i] = static_cast<int64_t>(DurationHistogram::kBounds[i] * 1e9 + 0.5);
  }
  return bounds;
}();

// A metric of one value, without labels.
MetricFamily Single(MetricType type, const char* name, const char* help,
                    double value) {
  ClientMetric metric;
  // Each type has a member of its own, of which one is written out.
  metric.counter.value = value;
  metric.gauge.value = value;
  return {name, help, type, {metric}};
}

// What ServerState tells.
std::vector<MetricFamily> StateFamilies(const ServerState& state) {
  const auto gauge = [](const char* name, const char* help, int64_t value) {
    return Single(MetricType::Gauge, name, help, static_cast<double>(value));
  };
  const auto counter = [](const char* name, const char* help, int64_t value) {
    return Single(MetricType::Counter, name, help, static_cast<double>(value));
  };
  return {
      gauge("lossd_ready", "1 while health says SERVING", state.is_serving),
      gauge("lossd_calls_in_flight", "Calls let in that have not ended",
            state.calls_in_flight),
      gauge("lossd_calls_waiting", "Calls that wait for memory",
            state.calls_waiting),
      gauge("lossd_memory_reserved_bytes", "Reserved by calls in flight",
            state.reserved_bytes),
      gauge("lossd_memory_budget_bytes",
            "What calls may reserve in all; 0: not bounded",
            state.budget_bytes),
      counter("lossd_computed_rows_total", "Rows computed",
              state.computed_rows),
      counter("lossd_computed_logits_total", "Logits computed",
              state.computed_logits),
  };
}

}  // namespace

void DurationHistogram::Observe(std::chrono::nanoseconds duration) {
  const auto* const bucket =
      std::lower_bound(kBoundsNs.begin(), kBoundsNs.end(), duration.count());
  counts_[bucket - kBoundsNs.begin()].fetch_add(1, std::memory_order_relaxed);
  sum_ns_.fetch_add(duration.count(), std::memory_order_relaxed);
}

ClientMetric::Histogram DurationHistogram::Collect() const {
  ClientMetric::Histogram histogram;
  uint64_t count = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    count += counts_[i].load(std::memory_order_relaxed);
    const double bound = i < kBounds.size()
                             ? kBounds[i]
                             : std::numeric_limits<double>::infinity();
    histogram.bucket.push_back({count, bound});
  }
  histogram.sample_count = count;
  histogram.sample_sum =
      1e-9 * static_cast<double>(sum_ns_.load(std::memory_order_relaxed));
  return histogram;
}

Metrics::Metrics(const std::vector<std::string>& methods,
                 const std::string& version, const std::string& kernel) {
  prometheus::BuildGauge()
      .Name("lossd_build_info")
      .Help("1; its labels say what runs")
      .Register(registry_)
      .Add({{"version", version}, {"kernel", kernel}})
      .Set(1);
  auto& calls = prometheus::BuildCounter()
                    .Name("lossd_calls_total")
                    .Help("Calls that ended")
                    .Register(registry_);
  for (const std::string& method : methods) {
    for (size_t code = 0; code < kCodes; ++code) {
      const std::string name =
          absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
      calls_.push_back(&calls.Add({{"method", method}, {"code", name}}));
    }
  }
  refusals_ = &prometheus::BuildCounter()
                   .Name("lossd_refusals_total")
                   .Help("Calls ended with RESOURCE_EXHAUSTED or UNAVAILABLE")
                   .Register(registry_);
  for (const char* reason : kUsualRefusals) {
    refusals_->Add({{"reason", reason}});
  }
  received_bytes_ = &prometheus::BuildCounter()
                         .Name("lossd_received_bytes_total")
                         .Help("Bytes of messages received")
                         .Register(registry_)
                         .Add({});
  sent_bytes_ = &prometheus::BuildCounter()
                     .Name("lossd_sent_bytes_total")
                     .Help("Bytes of messages sent")
                     .Register(registry_)
                     .Add({});
}

void Metrics::CountRefusal(const std::string& reason) {
  refusals_->Add({{"reason", reason}}).Increment();
}

void Metrics::Observe(const PhaseTimes& times) {
  for (size_t i = 0; i < kPhases; ++i) {
    const auto phase = static_cast<Phase>(i);
    if (const auto total = times.Total(phase)) {
      phases_[i].Observe(*total);
    } else if (phase == Phase::kQueue) {
      phases_[i].Observe({});
    }
  }
}

MetricFamily Metrics::PhaseFamily() const {
  MetricFamily family{"lossd_call_phase_seconds",
                      "How long a call was in a phase",
                      MetricType::Histogram,
                      {}};
  for (size_t i = 0; i < kPhases; ++i) {
    ClientMetric metric;
    metric.label = {{"phase", kPhaseNames[i]}};
    metric.histogram = phases_[i].Collect();
    family.metric.push_back(std::move(metric));
  }
  return family;
}

std::string Metrics::Text(const ServerState& state) const {
  std::vector<MetricFamily> families = registry_.Collect();
  families.push_back(PhaseFamily());
  for (MetricFamily& family : StateFamilies(state)) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lossd::rpc
