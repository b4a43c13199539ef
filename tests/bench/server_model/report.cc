#include "tests/bench/server_model/report.h"

#include <fmt/format.h>

#include <iterator>
#include <string>

namespace lossd::bench {
namespace {

void PrintIdleTable(const std::vector<Result>& results) {
  if (results.empty() || results.front().idle.empty()) return;
  fmt::print("| p50 / p99 / max, ms, after a gap of |");
  for (const GapLatency& latency : results.front().idle) {
    fmt::print(" {} s (n={}) |", latency.gap_s, latency.samples);
  }
  fmt::print("\n|---|");
  for (size_t i = 0; i < results.front().idle.size(); ++i) fmt::print("---|");
  for (const Result& result : results) {
    fmt::print("\n| {} |", result.config.name);
    for (const GapLatency& latency : result.idle) {
      fmt::print(" {:.2f} / {:.2f} / {:.1f} |", latency.p50_ms, latency.p99_ms,
                 latency.max_ms);
    }
  }
  fmt::print("\n\n");
}

void PrintOtherTable(const std::vector<Result>& results) {
  fmt::print("| |");
  for (const int outstanding : kOutstanding) {
    fmt::print(" calls/s, {} outstanding |", outstanding);
  }
  fmt::print(" MiB held | listed |\n|---|---|---|---|---|---|\n");
  for (const Result& result : results) {
    if (result.config.model == Model::kSocket) continue;
    fmt::print("| {} |", result.config.name);
    for (size_t i = 0; i < std::size(kOutstanding); ++i) {
      const bool measured = i < result.calls_per_s.size();
      fmt::print(" {:.0f} |", measured ? result.calls_per_s[i] : 0.0);
    }
    fmt::print(" {:.1f} | {} |\n", result.held_mib,
               result.listed ? "yes" : "no");
  }
}

}  // namespace

void PrintTables(const std::vector<Result>& results) {
  PrintIdleTable(results);
  PrintOtherTable(results);
}

void PrintJson(const std::vector<Result>& results) {
  std::string objects;
  for (const Result& result : results) {
    std::string idle;
    for (const GapLatency& latency : result.idle) {
      idle += fmt::format(
          "{}{{\"gap_s\":{},\"samples\":{},\"p50_ms\":{:.4f},\"p99_ms\":{:.4f},"
          "\"max_ms\":{:.4f}}}",
          idle.empty() ? "" : ",", latency.gap_s, latency.samples,
          latency.p50_ms, latency.p99_ms, latency.max_ms);
    }
    std::string rates;
    for (size_t i = 0; i < result.calls_per_s.size(); ++i) {
      rates += fmt::format("{}\"{}\":{:.1f}", i == 0 ? "" : ",",
                           kOutstanding[i], result.calls_per_s[i]);
    }
    objects += fmt::format(
        "{}{{\"model\":\"{}\",\"idle\":[{}],\"calls_per_s\":{{{}}},"
        "\"held_mib\":{:.1f},\"listed\":{}}}",
        objects.empty() ? "" : ",\n ", result.config.name, idle, rates,
        result.held_mib, result.listed);
  }
  fmt::print("[{}]\n", objects);
}

}  // namespace lossd::bench
