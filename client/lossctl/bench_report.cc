#include "client/lossctl/bench_report.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

#include "absl/strings/ascii.h"
#include "client/lossctl/quantiles.h"
#include "client/lossctl/windows.h"

namespace lossd::lossctl {
namespace {

constexpr double kQuantiles[] = {0.5, 0.9, 0.99, 0.999};
constexpr const char* kQuantileNames[] = {"p50_ms", "p90_ms", "p99_ms",
                                          "p99_9_ms"};

std::string LoadText(const LoadPlan& plan) {
  if (plan.rate) {
    return fmt::format("{} calls/s, at most {} in flight", *plan.rate,
                       plan.calls_in_flight);
  }
  return fmt::format("{} in flight at a time", plan.calls_in_flight);
}

std::string SettledText(const LoadPlan& plan, const LoadReport& report) {
  if (report.settled) {
    return fmt::format("settled: the last {} windows are within {:.1f}%",
                       kSettledWindows, report.spread * 100);
  }
  if (report.succeeded == 0) return "none: no call succeeded";
  return fmt::format("did not settle in {:.3g} s: want {} windows within {}%",
                     plan.max_s, kSettledWindows, kSettledSpread * 100);
}

std::string LatencyText(const LoadReport& report) {
  std::string text;
  for (const double q : kQuantiles) {
    text += fmt::format("p{:g} {:.3g}  ", q * 100,
                        Quantile(report.latencies_ms, q));
  }
  return fmt::format("{}max {:.3g}  ({} calls)", text,
                     report.latencies_ms.back(), report.latencies_ms.size());
}

double GbPerSecond(const BenchSubject& subject, const LoadReport& report) {
  return report.calls_per_s * static_cast<double>(subject.bytes_per_call) / 1e9;
}

bool MissedItsRate(const BenchSubject& subject, const LoadReport& report) {
  return subject.plan.rate &&
         report.calls_per_s < *subject.plan.rate * (1.0 - kSettledSpread);
}

}  // namespace

std::string ProgressLine(const LoadProgress& progress) {
  const std::string calls =
      fmt::format("{:.0f} s  {} calls, {} errors  ", progress.run_s,
                  progress.calls, progress.errors);
  if (progress.warming_up) return calls + "warming up";
  return calls + fmt::format("{} windows, the last {:.1f}% apart",
                             progress.windows, progress.spread * 100);
}

std::string BenchText(const BenchSubject& subject, const LoadReport& report) {
  std::string text;
  const auto add = [&text](const char* name, const std::string& value) {
    text += fmt::format("{:<13}{}\n", name, value);
  };
  add("target", subject.target);
  add("batch", fmt::format("{} x {} {}, {} and gradient", subject.rows,
                           subject.classes, subject.data_type, subject.loss));
  add("load", LoadText(subject.plan));
  add("throughput", SettledText(subject.plan, report));
  add("calls/s", fmt::format("{:.1f}", report.calls_per_s));
  add("GB/s", fmt::format("{:.3g}", GbPerSecond(subject, report)));
  if (!report.latencies_ms.empty()) add("latency, ms", LatencyText(report));
  add("whole run", fmt::format("{:.1f} s, {} calls succeeded", report.run_s,
                               report.succeeded));
  for (const auto& [code, error] : report.errors) {
    add("errors", fmt::format("{} {}: {}", absl::StatusCodeToString(code),
                              error.calls, error.first_message));
  }
  if (MissedItsRate(subject, report)) {
    add("note",
        "the rate was not reached: latencies hold the wait for a free place, "
        "and grow as the run goes on");
  }
  return text;
}

Json BenchJson(const BenchSubject& subject, const LoadReport& report) {
  Json json = {{"target", subject.target},
               {"rows", subject.rows},
               {"classes", subject.classes},
               {"data_type", absl::AsciiStrToUpper(subject.data_type)},
               {"loss", subject.loss}};
  if (subject.plan.rate) json["rate"] = *subject.plan.rate;
  json[subject.plan.rate ? "max_in_flight" : "concurrency"] =
      subject.plan.calls_in_flight;
  json["settled"] = report.settled;
  json["spread"] = report.spread;
  json["calls"] = report.latencies_ms.size();
  json["seconds"] = report.seconds;
  json["calls_per_s"] = report.calls_per_s;
  json["gb_per_s"] = GbPerSecond(subject, report);
  const bool any = !report.latencies_ms.empty();
  for (size_t i = 0; i < std::size(kQuantiles); ++i) {
    json[kQuantileNames[i]] =
        any ? Json(Quantile(report.latencies_ms, kQuantiles[i])) : Json();
  }
  json["max_ms"] = any ? Json(report.latencies_ms.back()) : Json();
  json["run_seconds"] = report.run_s;
  json["run_succeeded"] = report.succeeded;
  json["errors"] = Json::object();
  for (const auto& [code, error] : report.errors) {
    json["errors"][absl::StatusCodeToString(code)] = error.calls;
  }
  return json;
}

}  // namespace lossd::lossctl
