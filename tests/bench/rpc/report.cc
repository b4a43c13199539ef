#include "tests/bench/rpc/report.h"

#include <fmt/format.h>

namespace lossd::bench {
namespace {

using Json = nlohmann::ordered_json;

double GbPerSecond(size_t bytes, const Latency& latency) {
  return static_cast<double>(bytes) / (latency.p50_ms * 1e6);
}

double Ratio(const Result& result) {
  return result.echo.p50_ms / result.service.p50_ms;
}

double StreamGbPerSecond(const StreamResult& result) {
  return static_cast<double>(result.bytes) / (result.seconds * 1e9);
}

double Ratio(const StreamResult& result) {
  return StreamGbPerSecond(result) /
         GbPerSecond(result.echo_bytes, result.echo);
}

std::string Quantiles(const Latency& latency) {
  return fmt::format("{:.3g} / {:.3g} / {:.3g}", latency.p50_ms, latency.p90_ms,
                     latency.p99_ms);
}

std::string MedianOrNone(const std::optional<Latency>& latency) {
  return latency ? fmt::format("{:.3g}", latency->p50_ms) : "";
}

void AddQuantiles(const std::string& name, const Latency& latency, Json* json) {
  (*json)[name + "_calls"] = latency.calls;
  (*json)[name + "_p50_ms"] = latency.p50_ms;
  (*json)[name + "_p90_ms"] = latency.p90_ms;
  (*json)[name + "_p99_ms"] = latency.p99_ms;
}

void AddGap(const std::string& name, const GapLatency& latency, Json* json) {
  (*json)[name + "_p50_ms"] = latency.p50_ms;
  (*json)[name + "_p99_ms"] = latency.p99_ms;
  (*json)[name + "_max_ms"] = latency.max_ms;
}

}  // namespace

std::string PayloadTableHead() {
  return "| transport | rows x classes | calls | lossd p50 / p90 / p99, ms | "
         "GB/s | echo p50 / p90 / p99, ms | GB/s | ratio | PyTorch p50, ms | "
         "Python service p50, ms |\n"
         "|---|---|---|---|---|---|---|---|---|---|\n";
}

std::string TableRow(const Result& result) {
  return fmt::format(
      "| {} | {}x{} | {} | {} | {:.3g} | {} | {:.3g} | {:.2f} | {} | {} |\n",
      result.transport, result.payload.rows, result.payload.classes,
      result.service.calls, Quantiles(result.service),
      GbPerSecond(result.service_bytes, result.service), Quantiles(result.echo),
      GbPerSecond(result.echo_bytes, result.echo), Ratio(result),
      MedianOrNone(result.pytorch), MedianOrNone(result.python_service));
}

Json ToJson(const Result& result) {
  Json json = {{"transport", result.transport},
               {"rows", result.payload.rows},
               {"classes", result.payload.classes},
               {"ratio", Ratio(result)}};
  AddQuantiles("service", result.service, &json);
  AddQuantiles("echo", result.echo, &json);
  json["service_bytes"] = result.service_bytes;
  json["echo_bytes"] = result.echo_bytes;
  json["gb_per_s"] = GbPerSecond(result.service_bytes, result.service);
  json["echo_gb_per_s"] = GbPerSecond(result.echo_bytes, result.echo);
  if (result.pytorch) AddQuantiles("pytorch", *result.pytorch, &json);
  if (result.python_service) {
    AddQuantiles("python_service", *result.python_service, &json);
  }
  return json;
}

std::string SettingTableHead() {
  return "| transport | rows x classes | setting | calls | p50 / p90 / p99, ms "
         "| gain |\n|---|---|---|---|---|---|\n";
}

std::string TableRow(const SettingResult& result) {
  return fmt::format(
      "| {} | {}x{} | {} | {} | {} | {:.2f} |\n", result.transport,
      result.payload.rows, result.payload.classes,
      result.setting.empty() ? "as lossd has them" : "`" + result.setting + "`",
      result.latency.calls, Quantiles(result.latency), result.gain);
}

Json ToJson(const SettingResult& result) {
  Json json = {{"transport", result.transport},
               {"rows", result.payload.rows},
               {"classes", result.payload.classes},
               {"setting", result.setting},
               {"gain", result.gain}};
  AddQuantiles("echo", result.latency, &json);
  return json;
}

std::string StreamTableHead() {
  return "| transport | rows x classes | s | GB/s | echo p50 / p90 / p99, ms | "
         "GB/s | ratio | idle, MiB | peak, MiB |\n"
         "|---|---|---|---|---|---|---|---|---|\n";
}

std::string TableRow(const StreamResult& result) {
  return fmt::format(
      "| {} | {}x{} | {:.3g} | {:.3g} | {} | {:.3g} | {:.2f} | {:.0f} | {:.0f} "
      "|\n",
      result.transport, result.rows, kStreamEchoPayload.classes, result.seconds,
      StreamGbPerSecond(result), Quantiles(result.echo),
      GbPerSecond(result.echo_bytes, result.echo), Ratio(result),
      result.idle_mib, result.peak_mib);
}

Json ToJson(const StreamResult& result) {
  Json json = {{"transport", result.transport},
               {"rows", result.rows},
               {"classes", kStreamEchoPayload.classes},
               {"ratio", Ratio(result)},
               {"stream_s", result.seconds},
               {"stream_bytes", result.bytes},
               {"gb_per_s", StreamGbPerSecond(result)},
               {"echo_bytes", result.echo_bytes},
               {"echo_gb_per_s", GbPerSecond(result.echo_bytes, result.echo)},
               {"idle_mib", result.idle_mib},
               {"peak_mib", result.peak_mib}};
  AddQuantiles("echo", result.echo, &json);
  return json;
}

std::string GapTableHead() {
  return "| transport | gap, s | calls | lossd p50 / p99 / max, ms | echo p50 "
         "/ "
         "p99 / max, ms |\n|---|---|---|---|---|\n";
}

std::string TableRow(const GapResult& result) {
  const auto text = [](const GapLatency& latency) {
    return fmt::format("{:.2f} / {:.2f} / {:.1f}", latency.p50_ms,
                       latency.p99_ms, latency.max_ms);
  };
  return fmt::format("| {} | {} | {} | {} | {} |\n", result.transport,
                     result.service.gap_s, result.service.samples,
                     text(result.service), text(result.echo));
}

Json ToJson(const GapResult& result) {
  Json json = {{"transport", result.transport},
               {"rows", kGapPayload.rows},
               {"classes", kGapPayload.classes},
               {"gap_s", result.service.gap_s},
               {"calls", result.service.samples}};
  AddGap("service", result.service, &json);
  AddGap("echo", result.echo, &json);
  return json;
}

}  // namespace lossd::bench
