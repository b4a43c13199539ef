// A caller for tests to kill: streams to the address given, says so once it has
// an answer, and goes on.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <cstdio>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/e2e/stream_messages.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto stub = lossd::v1::LossService::NewStub(
      grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto stream = stub->StreamLoss(&context);
  stream->Write(lossd::StreamHeader(int64_t{1} << 20));
  const lossd::v1::StreamLossRequest chunk = lossd::StreamChunk();
  lossd::v1::StreamLossResponse response;
  while (stream->Write(chunk) && stream->Read(&response)) {
    std::puts("streaming");
    std::fflush(stdout);
  }
  return 1;
}
