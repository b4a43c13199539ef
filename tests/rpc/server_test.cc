// What a server is, beside its numbers.
#include "server/rpc/server.h"

#include <gmock/gmock.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "server/compute/kernel.h"
#include "tests/rpc/requests.h"
#include "tests/rpc/test_server.h"

namespace lossd::rpc {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::StartsWith;
using Health = grpc::health::v1::HealthCheckResponse;

constexpr char kReflection[] =
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

// Reflection's messages, read by field number: no header of Debian's has them.
std::vector<std::string> FieldValues(const std::string& bytes, int number) {
  google::protobuf::UnknownFieldSet fields;
  EXPECT_TRUE(fields.ParseFromString(bytes));
  std::vector<std::string> values;
  for (int i = 0; i < fields.field_count(); ++i) {
    if (fields.field(i).number() == number) {
      values.push_back(fields.field(i).length_delimited());
    }
  }
  return values;
}

std::string Field(int number, const std::string& value) {
  google::protobuf::UnknownFieldSet fields;
  fields.AddLengthDelimited(number, value);
  std::string bytes;
  fields.SerializeToString(&bytes);
  return bytes;
}

std::string UnusedSocketPath() {
  return testing::TempDir() + "lossd_server_test_" + std::to_string(getpid());
}

TEST(ServerTest, TellsWhatItIs) {
  Options options = TestOptions();
  options.compute_threads = 3;
  options.memory_budget_bytes = 77 << 20;
  TestServer server(options);
  const v1::GetServerInfoResponse info = server.GetServerInfo();
  EXPECT_FALSE(info.version().empty());
  EXPECT_EQ(info.kernel(), compute::ActiveKernel());
  EXPECT_EQ(info.compute_threads(), 3);
  EXPECT_EQ(info.memory_budget_bytes(), 77 << 20);
  EXPECT_THAT(info.losses(),
              ElementsAre("softmax_cross_entropy", "sigmoid_cross_entropy",
                          "negative_log_likelihood", "kl_divergence",
                          "softmax_focal", "sigmoid_focal", "multiclass_hinge",
                          "squared_error", "huber"));
  EXPECT_THAT(info.data_types(),
              ElementsAre(v1::DATA_TYPE_FLOAT16, v1::DATA_TYPE_BFLOAT16,
                          v1::DATA_TYPE_FLOAT32, v1::DATA_TYPE_FLOAT64));
}

TEST(ServerTest, IsHealthyUnderBothNames) {
  TestServer server;
  EXPECT_EQ(server.Health(""), Health::SERVING);
  EXPECT_EQ(server.Health("lossd.v1.LossService"), Health::SERVING);
}

TEST(ServerTest, KnowsNoHealthOfOtherServices) {
  TestServer server;
  grpc::Status status;
  server.Health("lossd.v1.Other", &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST(ServerTest, ListsItsServiceByReflection) {
  TestServer server;
  std::string response;
  const grpc::Status status =
      StatusOfBytes(server.channel(), kReflection, Field(7, "*"), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::set<std::string> services;
  for (const std::string& list : FieldValues(response, 6)) {
    for (const std::string& service : FieldValues(list, 1)) {
      for (const std::string& name : FieldValues(service, 1)) {
        services.insert(name);
      }
    }
  }
  EXPECT_THAT(services, Contains("lossd.v1.LossService"));
}

TEST(ServerTest, DescribesItsServiceByReflection) {
  TestServer server;
  std::string response;
  const grpc::Status status =
      StatusOfBytes(server.channel(), kReflection,
                    Field(4, "lossd.v1.LossService"), &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  std::vector<std::string> methods;
  for (const std::string& files : FieldValues(response, 4)) {
    for (const std::string& bytes : FieldValues(files, 1)) {
      google::protobuf::FileDescriptorProto file;
      ASSERT_TRUE(file.ParseFromString(bytes));
      for (const auto& service : file.service()) {
        for (const auto& method : service.method()) {
          methods.push_back(method.name());
        }
      }
    }
  }
  EXPECT_THAT(methods,
              ElementsAre("ComputeLoss", "StreamLoss",
                          "ComputeHessianVectorProduct", "GetServerInfo"));
}

TEST(ServerTest, HasNoReflectionWhenItIsOff) {
  Options options = TestOptions();
  options.reflection = false;
  TestServer server(options);
  EXPECT_EQ(
      StatusOfBytes(server.channel(), kReflection, Field(7, "*")).error_code(),
      grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(server.ComputeLoss(RequestWith()).row_count(), 2);
}

TEST(ServerTest, AnswersManyCallsAtOnce) {
  TestServer server;
  const v1::ComputeLossResponse expected = server.ComputeLoss(RequestWith());
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&] {
      for (int call = 0; call < 50; ++call) {
        EXPECT_EQ(server.ComputeLoss(RequestWith()).SerializeAsString(),
                  expected.SerializeAsString());
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
}

TEST(ServerTest, ComputesTheSameOnEveryKernel) {
  const std::vector<std::string> kernels = compute::AvailableKernels();
  std::vector<std::string> answers;
  for (const std::string& kernel : kernels) {
    Options options = TestOptions();
    options.kernel = kernel;
    TestServer server(options);
    EXPECT_EQ(server.GetServerInfo().kernel(), kernel);
    answers.push_back(server.ComputeLoss(RequestWith()).SerializeAsString());
    EXPECT_EQ(answers.back(), answers.front()) << kernel;
  }
  compute::SelectKernel(kernels.front());
}

TEST(ServerTest, ListensOnEveryAddress) {
  const std::string path = UnusedSocketPath();
  Options options = TestOptions();
  options.listen = {"127.0.0.1:0", "unix:" + path, "127.0.0.2:0"};
  TestServer server(options);
  ASSERT_EQ(server.server().addresses().size(), 3u);
  EXPECT_THAT(server.server().addresses()[0], StartsWith("127.0.0.1:"));
  EXPECT_NE(server.server().addresses()[0], "127.0.0.1:0");
  EXPECT_EQ(server.server().addresses()[1], "unix:" + path);
  EXPECT_THAT(server.server().addresses()[2], StartsWith("127.0.0.2:"));
  for (const std::string& address : server.server().addresses()) {
    const auto stub = v1::LossService::NewStub(Connect(address));
    grpc::ClientContext context;
    v1::GetServerInfoResponse response;
    EXPECT_TRUE(stub->GetServerInfo(&context, {}, &response).ok()) << address;
  }
}

TEST(ServerTest, IsNotStartedOnATakenPort) {
  TestServer first;
  Options options = TestOptions();
  const std::string taken = first.server().addresses()[0];
  options.listen = {"127.0.0.1:0", taken};
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(second.status().message(),
            "cannot listen on " + taken + ": address already in use");
  EXPECT_EQ(first.Health(""), Health::SERVING);
}

TEST(ServerTest, DoesNotTakeASocketFromAnotherServer) {
  Options options = TestOptions();
  options.listen = {"unix:" + UnusedSocketPath()};
  TestServer first(options);
  const auto second = Server::Start(options);
  EXPECT_EQ(second.status().message(), "cannot listen on " + options.listen[0] +
                                           ": address already in use");
  EXPECT_EQ(first.Health(""), Health::SERVING);
}

TEST(ServerTest, TakesASocketThatADeadServerLeft) {
  const std::string path = UnusedSocketPath();
  Options options = TestOptions();
  options.listen = {"unix:" + path};
  const std::string kept = path + "_kept";
  {
    TestServer first(options);
    ASSERT_EQ(link(path.c_str(), kept.c_str()), 0);
  }
  ASSERT_EQ(rename(kept.c_str(), path.c_str()), 0);
  TestServer second(options);
  EXPECT_EQ(second.Health(""), Health::SERVING);
}

TEST(ServerTest, SaysWhyItCannotListen) {
  Options options = TestOptions();
  options.listen = {"unix:/nowhere/lossd.sock"};
  EXPECT_EQ(Server::Start(options).status().message(),
            "cannot listen on unix:/nowhere/lossd.sock: no such file or "
            "directory");
}

TEST(ServerTest, RejectsOptionsOutOfRange) {
  const auto message_of = [](const Options& options) {
    return std::string(Server::Start(options).status().message());
  };
  Options options = TestOptions();
  options.kernel = "AVX9";
  EXPECT_THAT(message_of(options), StartsWith("kernel = AVX9, want one of "));
  options.kernel.clear();
  options.compute_threads = kMaxComputeThreads + 1;
  EXPECT_EQ(message_of(options), "threads = 1025, want [1, 1024]");
  options = TestOptions();
  options.max_request_bytes = 0;
  EXPECT_EQ(message_of(options), "max_request_bytes = 0, want [1, 2147483647]");
  options.max_request_bytes = kLargestMaxRequestBytes + 1;
  EXPECT_EQ(message_of(options),
            "max_request_bytes = 2147483648, want [1, 2147483647]");
  options = TestOptions();
  options.listen = {};
  EXPECT_EQ(message_of(options), "listen: missing, want an address");
}

}  // namespace
}  // namespace lossd::rpc
