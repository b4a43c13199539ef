#include "server/rpc/plugins.h"

#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/impl/server_builder_option.h>

#include <string>
#include <vector>

namespace lossd::rpc {
namespace {

// The name of a class that no header shows.
constexpr char kChannelzName[] = "channelz_service";

class PluginsOption : public grpc::ServerBuilderOption {
 public:
  PluginsOption(bool reflection, bool channelz)
      : reflection_(reflection), channelz_(channelz) {}

  void UpdateArguments(grpc::ChannelArguments*) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*
                         plugins) override {
    const std::string reflection_name =
        grpc::reflection::ProtoServerReflectionPlugin().name();
    std::erase_if(*plugins, [&](const auto& plugin) {
      return (!reflection_ && plugin->name() == reflection_name) ||
             (!channelz_ && plugin->name() == kChannelzName);
    });
  }

 private:
  const bool reflection_;
  const bool channelz_;
};

}  // namespace

std::unique_ptr<grpc::ServerBuilder> MakeServerBuilder(bool reflection,
                                                       bool channelz) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  if (channelz) grpc::channelz::experimental::InitChannelzService();
  auto builder = std::make_unique<grpc::ServerBuilder>();
  builder->SetOption(std::make_unique<PluginsOption>(reflection, channelz));
  return builder;
}

}  // namespace lossd::rpc
