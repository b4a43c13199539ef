#include "tests/bench/rpc/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "server/rpc/options.h"
#include "tests/bench/support/server_process.h"

namespace lossd::bench {
namespace {

constexpr int kBadUsage = 2;

bool ReadCount(std::string_view text, int64_t* count) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *count);
  return error == std::errc() && stop == end && *count >= 1;
}

std::optional<Payload> ReadPayload(std::string_view text) {
  const size_t cross = text.find('x');
  Payload payload{};
  if (cross == std::string_view::npos ||
      !ReadCount(text.substr(0, cross), &payload.rows) ||
      !ReadCount(text.substr(cross + 1), &payload.classes)) {
    return std::nullopt;
  }
  // Each row has its logits and one label, 4 bytes each.
  constexpr int64_t kMaxElements = kMaxPayloadBytes / 4;
  if (payload.classes > kMaxElements - 1 ||
      payload.rows > kMaxElements / (payload.classes + 1)) {
    return std::nullopt;
  }
  return payload;
}

std::string CheckPayload(const std::string& text) {
  if (ReadPayload(text)) return "";
  return fmt::format(
      "{}, want ROWSxCLASSES, both >= 1, logits and labels of at most {} bytes",
      text, kMaxPayloadBytes);
}

std::string CheckSeconds(const std::string& text) {
  double seconds = 0.0;
  if (CLI::detail::lexical_cast(text, seconds) && seconds > 0.0 &&
      seconds <= kMaxSeconds) {
    return "";
  }
  return fmt::format("{}, want a number in (0, {}]", text, kMaxSeconds);
}

std::string ServerBesideThisProgram() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink(kThisProgram, error);
  return (self.parent_path() / "lossd").string();
}

struct Texts {
  std::vector<std::string> payloads;
  bool no_python = false;
  std::string echo_setting;
};

void AddFlags(CLI::App& app, Flags& flags, Texts& texts) {
  app.add_flag("--json", flags.json, "Print a JSON array instead of a table");
  auto* gaps = app.add_flag(
      "--idle-gaps", flags.idle_gaps,
      "Instead of payloads: latencies of 32x27 calls after idle gaps "
      "of 0 to 3 s; takes 3 minutes per transport");
  auto* settings = app.add_flag("--settings", flags.settings,
                                "Instead of payloads by lossd: by echoes whose "
                                "gRPC settings differ, each "
                                "for --seconds");
  app.add_option(
         "--stream-mib", flags.stream_mib,
         "Instead of payloads: a StreamLoss of so many MiB of logits of "
         "50257 classes, --seconds of a unary echo of 256x50257 before "
         "and after; in MiB")
      ->check(CLI::Range(int64_t{1}, kMaxStreamMib))
      ->excludes(gaps)
      ->excludes(settings);
  settings->excludes(gaps);
  app.add_option("--transport", flags.transports,
                 "tcp (127.0.0.1) or unix; repeatable; default both")
      ->check(CLI::IsMember({"tcp", "unix"}))
      ->allow_extra_args(false);
  app.add_option("--payload", texts.payloads,
                 "ROWSxCLASSES, both at least 1, at most 2,000,000,000 bytes; "
                 "repeatable; default 32x27, 128x1000, 64x32000, 256x50257")
      ->check(CLI::Validator(CheckPayload, "ROWSxCLASSES"))
      ->allow_extra_args(false);
  app.add_option("--seconds", flags.seconds,
                 "How long a payload is measured on a transport, in seconds; "
                 "PyTorch takes half of it twice beside")
      ->check(CLI::Validator(CheckSeconds, "SECONDS in (0, 3600]"))
      ->capture_default_str();
  app.add_option("--threads", flags.threads,
                 "Threads of lossd and of PyTorch; 0: as many as the CPU quota "
                 "and the affinity mask give")
      ->check(CLI::Range(0, rpc::kMaxComputeThreads))
      ->capture_default_str();
  app.add_option("--server", flags.server,
                 "The lossd to measure; default the one beside bench_rpc")
      ->check(CLI::ExistingFile);
  auto* python = app.add_option("--python", flags.python,
                                "The Python with PyTorch and grpcio; without "
                                "them that comparison is left out")
                     ->capture_default_str();
  app.add_flag("--no-python", texts.no_python,
               "Leave the comparison with PyTorch out")
      ->excludes(python);
  // An empty group: not in --help, bench_rpc itself uses them.
  app.add_option("--serve-echo", flags.serve_echo)
      ->group("")
      ->allow_extra_args(false);
  app.add_option("--echo-setting", texts.echo_setting)->group("");
}

}  // namespace

ParsedFlags ParseFlags(int argc, const char* const* argv) {
  CLI::App app(
      "Measures lossd's unary call beside an echo of the same bytes and gRPC "
      "settings, call by call in turn, and beside PyTorch",
      "bench_rpc");
  Flags flags;
  flags.server = ServerBesideThisProgram();
  flags.python = LOSSD_PYTHON;
  Texts texts;
  AddFlags(app, flags, texts);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return {.flags = {}, .exit_code = app.exit(success)};
  } catch (const CLI::Error& error) {
    fmt::print(stderr, "bench_rpc: {}\n", error.what());
    return {.flags = {}, .exit_code = kBadUsage};
  }
  if (!std::filesystem::is_regular_file(flags.server)) {
    fmt::print(stderr, "bench_rpc: no server at {}: want --server PATH\n",
               flags.server);
    return {.flags = {}, .exit_code = kBadUsage};
  }
  if (!texts.payloads.empty()) flags.payloads.clear();
  for (const std::string& text : texts.payloads) {
    flags.payloads.push_back(*ReadPayload(text));
  }
  if (texts.no_python) flags.python.clear();
  flags.echo_setting = ReadChannelSetting(texts.echo_setting);
  return {.flags = flags, .exit_code = std::nullopt};
}

}  // namespace lossd::bench
