// A setting of gRPC's transport.
#ifndef LOSSD_TESTS_BENCH_SUPPORT_CHANNEL_SETTING_H_
#define LOSSD_TESTS_BENCH_SUPPORT_CHANNEL_SETTING_H_

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace lossd::bench {

// What gRPC calls a channel argument, for a client's side or a server's.
struct ChannelSetting {
  std::string name;  // as in "grpc.http2.max_frame_size"
  std::variant<int, std::string> value;
};

// NAME=VALUE; what reads as an int is one. Nothing for what has no name.
std::optional<ChannelSetting> ReadChannelSetting(std::string_view text);
std::string ToString(const ChannelSetting& setting);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_SUPPORT_CHANNEL_SETTING_H_
