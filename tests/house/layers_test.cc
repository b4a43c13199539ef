#include "tests/house/layers.h"

#include <cctype>
#include <cstddef>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/house/sources.h"

namespace lossd::house {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Example {
  std::string_view name;
  std::string_view path;
  std::string_view include;
};

// What ctest shows beside a test's name.
void PrintTo(const Example& example, std::ostream* out) {
  *out << example.path << " with " << example.include;
}

std::string Directive(const Example& example) {
  return "#include " + std::string(example.include) + "\n";
}

std::string NameOf(const ::testing::TestParamInfo<Example>& info) {
  return std::string(info.param.name);
}

class Forbidden : public ::testing::TestWithParam<Example> {};

TEST_P(Forbidden, IsRefusedByFileAndPath) {
  const Example& example = GetParam();
  const std::string_view operand = example.include;
  const std::string name =
      std::isupper(static_cast<unsigned char>(operand[0])) != 0
          ? std::string(operand)
          : std::string(operand.substr(1, operand.size() - 2));
  EXPECT_THAT(CheckArrows(example.path, Directive(example)),
              ElementsAre(::testing::AllOf(
                  HasSubstr(std::string(example.path) + ":1: "),
                  HasSubstr("`" + name + "`"))));
}

constexpr std::string_view kComputeFile = "server/compute/loss.cc";
constexpr std::string_view kKernelFile = "server/compute/losses/x.cc";
constexpr std::string_view kRpcFile = "server/rpc/convert.cc";
constexpr std::string_view kHttpFile = "server/http/http_server.cc";
constexpr std::string_view kMainFile = "server/main.cc";
constexpr std::string_view kClientFile = "client/lossd/client.cc";
constexpr std::string_view kFlagsFile = "client/flags/seconds.cc";
constexpr std::string_view kToolFile = "client/lossctl/main.cc";
constexpr std::string_view kExampleFile = "client/examples/iris/iris.cc";
constexpr std::string_view kProtoHeader = "\"lossd/v1/loss_service.pb.h\"";

INSTANTIATE_TEST_SUITE_P(
    Arrow, Forbidden,
    ::testing::Values(
        Example{"ComputeToRpc", kComputeFile, "\"server/rpc/status.h\""},
        Example{"ComputeToMain", kComputeFile, "\"server/flags.h\""},
        Example{"ComputeToClient", kComputeFile, "\"client/lossd/client.h\""},
        Example{"ComputeToTests", kComputeFile, "\"tests/support/oracle.h\""},
        Example{"ComputeToProto", kComputeFile, kProtoHeader},
        Example{"ComputeToProtoInBrackets", kComputeFile,
                "<lossd/v1/loss_service.pb.h>"},
        Example{"ComputeToRichErrors", kComputeFile,
                "\"google/rpc/error_details.pb.h\""},
        Example{"ComputeToHealth", kComputeFile,
                "\"grpc/health/v1/health.grpc.pb.h\""},
        Example{"ComputeToGrpcpp", kComputeFile, "<grpcpp/grpcpp.h>"},
        Example{"ComputeToGrpc", kComputeFile, "\"grpc/grpc.h\""},
        Example{"ComputeToProtobuf", kComputeFile,
                "\"google/protobuf/message.h\""},
        Example{"ComputeToLogging", kComputeFile, "\"spdlog/spdlog.h\""},
        Example{"ComputeToFormatting", kComputeFile, "<fmt/format.h>"},
        Example{"ComputeToMetrics", kComputeFile, "\"prometheus/counter.h\""},
        Example{"ComputeToFlags", kComputeFile, "\"CLI/CLI.hpp\""},
        Example{"ComputeToContainers", kComputeFile,
                "\"absl/container/flat_hash_map.h\""},
        Example{"ComputeToSystem", kComputeFile, "<sys/socket.h>"},
        Example{"ComputeToIntrinsics", kComputeFile, "<immintrin.h>"},
        Example{"KernelToProto", kKernelFile, kProtoHeader},
        Example{"KernelToRpc", kKernelFile, "\"server/rpc/convert.h\""},
        Example{"RpcToClient", kRpcFile, "\"client/lossd/client.h\""},
        Example{"RpcToInstalledClient", kRpcFile, "\"lossd/client.h\""},
        Example{"ComputeToInstalledClient", kComputeFile, "<lossd/client.h>"},
        Example{"MainToInstalledClient", kMainFile, "<lossd/client.h>"},
        Example{"RpcToMain", kRpcFile, "\"server/flags.h\""},
        Example{"RpcToTests", kRpcFile, "\"tests/support/oracle.h\""},
        Example{"RpcToHighway", kRpcFile, "\"hwy/highway.h\""},
        Example{"RpcToHttp", kRpcFile, "\"server/http/http_server.h\""},
        Example{"ComputeToHttp", kComputeFile, "<httplib.h>"},
        Example{"HttpToMain", kHttpFile, "\"server/flags.h\""},
        Example{"HttpToCompute", kHttpFile, "\"server/compute/loss.h\""},
        Example{"MainToCompute", kMainFile, "\"server/compute/loss.h\""},
        Example{"MainToProto", kMainFile, kProtoHeader},
        Example{"MainToClient", kMainFile, "\"client/lossd/client.h\""},
        Example{"MainToTests", kMainFile, "\"tests/support/oracle.h\""},
        Example{"MainToHighway", kMainFile, "\"hwy/targets.h\""},
        Example{"ClientToCompute", kClientFile, "\"server/compute/loss.h\""},
        Example{"ClientToRpc", kClientFile, "\"server/rpc/convert.h\""},
        Example{"ClientToMain", kClientFile, "\"server/flags.h\""},
        Example{"ClientToTool", kClientFile, "\"client/lossctl/explain.h\""},
        Example{"ClientToExample", kClientFile, "\"client/examples/x/x.h\""},
        Example{"ClientToTests", kClientFile, "\"tests/support/oracle.h\""},
        Example{"ClientToHighway", kClientFile, "<hwy/highway.h>"},
        Example{"ClientToFlags", kClientFile, "\"client/flags/seconds.h\""},
        Example{"FlagsToProto", kFlagsFile, kProtoHeader},
        Example{"FlagsToTool", kFlagsFile, "\"client/lossctl/explain.h\""},
        Example{"ToolToServer", kToolFile, "\"server/compute/loss.h\""},
        Example{"ToolToProto", kToolFile, kProtoHeader},
        Example{"ToolToExample", kToolFile, "\"client/examples/x/x.h\""},
        Example{"ToolToTests", kToolFile, "\"tests/support/oracle.h\""},
        Example{"ExampleToServer", kExampleFile, "\"server/rpc/server.h\""},
        Example{"ExampleToProto", kExampleFile, kProtoHeader},
        Example{"ExampleToTool", kExampleFile, "\"client/lossctl/explain.h\""},
        Example{"ExampleToTests", kExampleFile, "\"tests/support/oracle.h\""},
        Example{"ServerToUnknownRoom", kMainFile, "\"client/new/x.h\""},
        Example{"PathFromParent", kClientFile, "\"../../server/flags.h\""},
        Example{"PathFromOwnFolder", kComputeFile, "\"error.h\""},
        Example{"MacroAsOperand", kComputeFile, "SECRET_HEADER"},
        Example{"TestFromOwnFolder", "tests/house/x_test.cc", "\"layers.h\""}),
    NameOf);

class Allowed : public ::testing::TestWithParam<Example> {};

TEST_P(Allowed, IsAccepted) {
  const Example& example = GetParam();
  EXPECT_THAT(CheckArrows(example.path, Directive(example)), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    Arrow, Allowed,
    ::testing::Values(
        Example{"ComputeToStandard", kComputeFile, "<vector>"},
        Example{"ComputeToItself", kKernelFile, "\"server/compute/loss.h\""},
        Example{"ComputeToStatus", kComputeFile, "\"absl/status/status.h\""},
        Example{"ComputeToHighway", kKernelFile, "\"hwy/highway.h\""},
        Example{"RpcToCompute", kRpcFile, "\"server/compute/loss.h\""},
        Example{"RpcToProto", kRpcFile, kProtoHeader},
        Example{"RpcToGrpc", kRpcFile, "\"grpcpp/grpcpp.h\""},
        Example{"RpcToLogging", kRpcFile, "\"spdlog/spdlog.h\""},
        Example{"HttpToRpc", kHttpFile, "\"server/rpc/metrics.h\""},
        Example{"HttpToLibrary", kHttpFile, "<httplib.h>"},
        Example{"MainToHttp", kMainFile, "\"server/http/http_server.h\""},
        Example{"MainToRpc", kMainFile, "\"server/rpc/server.h\""},
        Example{"MainToFlags", kMainFile, "\"server/flags.h\""},
        Example{"ClientToProto", kClientFile, kProtoHeader},
        Example{"ToolToClient", kToolFile, "\"client/lossd/client.h\""},
        Example{"ExampleToClient", kExampleFile, "\"client/lossd/client.h\""},
        Example{"FlagsToClient", kFlagsFile, "\"client/lossd/options.h\""},
        Example{"ToolToFlags", kToolFile, "\"client/flags/seconds.h\""},
        Example{"ExampleToFlags", kExampleFile, "\"client/flags/seconds.h\""},
        Example{"ToolToInstalledClient", kToolFile, "\"lossd/client.h\""},
        Example{"ClientToItself", kClientFile, "\"lossd/error.h\""},
        Example{"ExampleToLibrary", kExampleFile, "<lbfgs.h>"},
        Example{"TestToAnything", "tests/rpc/convert_test.cc",
                "\"server/compute/loss.h\""},
        Example{"TestToHighway", "tests/compute/loss_test.cc",
                "\"hwy/tests/hwy_gtest.h\""}),
    NameOf);

TEST(ArrowsTest, RefuseAFileInNoRoom) {
  EXPECT_THAT(CheckArrows("tools/x.cc", ""),
              ElementsAre(HasSubstr("tools/x.cc is in no room")));
  EXPECT_THAT(CheckArrows("client/new/x.cc", ""),
              ElementsAre(HasSubstr("client/new/x.cc is in no room")));
}

TEST(ArrowsTest, NameEveryOffenderWithItsLine) {
  EXPECT_THAT(
      CheckArrows("server/compute/x.h",
                  "#include <vector>\n#include <grpc/grpc.h>\n"
                  "#if defined(NEVER)\n#include \"server/rpc/x.h\"\n#endif\n"),
      ElementsAre(HasSubstr("x.h:2: `grpc/grpc.h`"),
                  HasSubstr("x.h:4: `server/rpc/x.h`")));
}

TEST(ParseIncludesTest, SeesThroughSpacesCommentsAndSplices) {
  const std::vector<Include> includes = ParseIncludes(
      "/* #include \"a/a.h\"\n#include <b> */\n"
      "  #  include\t\"c/c.h\"  // why\n"
      "// #include \"d/d.h\"\n"
      "# /* odd */ include <e>\n"
      "const char* s = \"//\"; const char q = '\"';\n"
      "#include_next <f>\n"
      "#inc\\\nlude <g>\n"
      "const char* t = \"#include <h>\";");
  EXPECT_THAT(
      includes,
      ElementsAre(Field(&Include::path, "c/c.h"), Field(&Include::path, "e"),
                  Field(&Include::path, "f"), Field(&Include::path, "g")));
  EXPECT_EQ(includes[0].line, 3);
  EXPECT_EQ(includes[1].line, 5);
}

// The arrows hold over every source of the repo, and every room was looked at.
TEST(HouseTest, KeepsItsArrows) {
  std::map<std::string, std::size_t> includes_of_room;
  for (const Source& source : ReadSources()) {
    EXPECT_THAT(CheckArrows(source.path, source.text), IsEmpty());
    const std::string room =
        source.path.substr(0, source.path.find('/', source.path.find('/') + 1));
    includes_of_room[room] += ParseIncludes(source.text).size();
  }
  for (const char* room :
       {"server/main.cc", "server/compute", "server/rpc", "client/lossd",
        "client/flags", "client/lossctl", "client/examples", "tests/house"}) {
    EXPECT_GT(includes_of_room[room], 0U) << room;
  }
}

}  // namespace
}  // namespace lossd::house
