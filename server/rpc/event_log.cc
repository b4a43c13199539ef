#include "server/rpc/event_log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

namespace lossd::rpc {
namespace {

// In the order of LogFormat: what spdlog adds to an event.
constexpr const char* kPatterns[] = {
    "time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v",
    R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l",%v})"};

std::atomic<LogFormat> chosen_format = LogFormat::kText;

std::string Quoted(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', /*ensure_ascii=*/false,
                                   nlohmann::json::error_handler_t::replace);
}

bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '"' && c != '=' && c != '\\';
  });
}

std::string ValueOf(LogFormat format, const LogField& field) {
  if (const auto* number = std::get_if<int64_t>(&field.value)) {
    return std::to_string(*number);
  }
  const auto& text = std::get<std::string_view>(field.value);
  const bool is_bare = format == LogFormat::kText && IsPlain(text);
  return is_bare ? std::string(text) : Quoted(text);
}

void Log(spdlog::level::level_enum level, std::string_view event,
         const std::vector<LogField>& fields) {
  if (!spdlog::should_log(level)) return;
  spdlog::log(level, "{}", FormatEvent(chosen_format.load(), event, fields));
}

}  // namespace

void LogToStderr(LogFormat format) {
  chosen_format.store(format);
  auto log = spdlog::stderr_logger_mt("lossd");
  log->set_pattern(kPatterns[static_cast<int>(format)]);
  spdlog::set_default_logger(std::move(log));
}

void LogEvent(std::string_view event, const std::vector<LogField>& fields) {
  Log(spdlog::level::info, event, fields);
}

void LogWarning(std::string_view event, const std::vector<LogField>& fields) {
  Log(spdlog::level::warn, event, fields);
}

std::string FormatEvent(LogFormat format, std::string_view event,
                        const std::vector<LogField>& fields) {
  const bool is_json = format == LogFormat::kJson;
  std::string line;
  const auto append = [&](const LogField& field) {
    if (!line.empty()) line += is_json ? ',' : ' ';
    line += is_json ? Quoted(field.key) + ":" : std::string(field.key) + "=";
    line += ValueOf(format, field);
  };
  append({"event", event});
  for (const LogField& field : fields) append(field);
  return line;
}

}  // namespace lossd::rpc
