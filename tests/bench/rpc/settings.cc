#include "tests/bench/rpc/settings.h"

#include <grpc/grpc.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <memory>
#include <optional>
#include <variant>

#include "client/lossd/channel.h"
#include "tests/bench/rpc/servers.h"
#include "tests/bench/support/bidi_echo.h"

namespace lossd::bench {
namespace {

using Settings = std::vector<std::optional<ChannelSetting>>;

Settings AllSettings() {
  return {
      std::nullopt,
      ChannelSetting{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 64 << 10},
      ChannelSetting{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 256 << 10},
      ChannelSetting{GRPC_ARG_HTTP2_MAX_FRAME_SIZE, 1 << 20},
      ChannelSetting{GRPC_ARG_TCP_READ_CHUNK_SIZE, 64 << 10},
      ChannelSetting{GRPC_ARG_TCP_READ_CHUNK_SIZE, 256 << 10},
      ChannelSetting{GRPC_ARG_TCP_READ_CHUNK_SIZE, 1 << 20},
      ChannelSetting{GRPC_ARG_HTTP2_WRITE_BUFFER_SIZE, 1 << 20},
      ChannelSetting{GRPC_ARG_HTTP2_BDP_PROBE, 1},
      ChannelSetting{GRPC_ARG_OPTIMIZATION_TARGET, std::string("throughput")},
      ChannelSetting{GRPC_ARG_OPTIMIZATION_TARGET, std::string("latency")},
  };
}

std::shared_ptr<grpc::Channel> ChannelWith(
    const std::string& address, const std::optional<ChannelSetting>& setting) {
  grpc::ChannelArguments arguments = ChannelSettings({});
  if (setting) {
    if (const int* number = std::get_if<int>(&setting->value)) {
      arguments.SetInt(setting->name, *number);
    } else {
      arguments.SetString(setting->name, std::get<std::string>(setting->value));
    }
  }
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(),
                                   arguments);
}

}  // namespace

absl::StatusOr<std::vector<SettingResult>> MeasureSettings(
    const Flags& flags, const std::string& transport, const Payload& payload) {
  const std::string request = DrawRequest(payload).SerializeAsString();
  const Settings settings = AllSettings();
  SocketFolder folder;
  std::vector<std::unique_ptr<ServerProcess>> echoes;
  std::vector<std::unique_ptr<Subject>> subjects;
  std::vector<Subject*> in_turn;
  for (const auto& setting : settings) {
    auto echo = StartEcho({transport}, folder, setting);
    if (!echo.ok()) return echo.status();
    subjects.push_back(std::make_unique<Subject>(
        "the echo", ChannelWith((*echo)->addresses()[0], setting), kEchoPath,
        request));
    in_turn.push_back(subjects.back().get());
    echoes.push_back(*std::move(echo));
    const auto answer = subjects.back()->Look();
    if (!answer.ok()) return answer.status();
  }
  absl::Status status = WarmUp(in_turn);
  if (status.ok()) {
    status =
        Slice(in_turn, flags.seconds * static_cast<double>(settings.size()));
  }
  if (!status.ok()) return status;
  std::vector<SettingResult> results;
  for (size_t i = 0; i < settings.size(); ++i) {
    results.push_back({.transport = transport,
                       .payload = payload,
                       .setting = settings[i] ? ToString(*settings[i]) : "",
                       .latency = subjects[i]->latency(),
                       .gain = 1.0});
    results.back().gain =
        results.front().latency.p50_ms / results.back().latency.p50_ms;
  }
  return results;
}

}  // namespace lossd::bench
