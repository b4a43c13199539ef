// Messages as the server receives and sends them, made from and into parsed
// ones.
#ifndef LOSSD_TESTS_RPC_MESSAGES_H_
#define LOSSD_TESTS_RPC_MESSAGES_H_

#include <grpcpp/support/byte_buffer.h>
#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "server/rpc/wire/message.h"
#include "server/rpc/wire/requests.h"
#include "server/rpc/wire/responses.h"

namespace lossd::rpc {

inline wire::Run RunOf(const std::string& bytes) {
  return {reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()};
}

// The contents of pieces, in one string.
inline std::string StringOf(compute::Pieces pieces) {
  std::string bytes;
  for (const wire::Run& run : pieces) {
    bytes.append(reinterpret_cast<const char*>(run.data()), run.size());
  }
  return bytes;
}

// Bytes that came in and what was parsed from them, for as long as the program
// runs: tests need not think of who outlives whom.
template <typename Parsed>
struct Arrival {
  std::string bytes;
  wire::Run run;
  std::optional<Parsed> parsed;
};

template <typename Parsed, typename Message>
const Arrival<Parsed>& Arrive(const Message& message,
                              std::optional<Parsed> (*parse)(wire::Pieces)) {
  static auto& arrivals = *new std::deque<Arrival<Parsed>>();
  Arrival<Parsed>& arrival = arrivals.emplace_back();
  arrival.bytes = message.SerializeAsString();
  arrival.run = RunOf(arrival.bytes);
  arrival.parsed = parse({&arrival.run, 1});
  EXPECT_TRUE(arrival.parsed.has_value());
  return arrival;
}

inline const wire::LossRequest& Received(
    const v1::ComputeLossRequest& request) {
  return *Arrive(request, &wire::ParseLossRequest).parsed;
}
inline const wire::HessianRequest& Received(
    const v1::ComputeHessianVectorProductRequest& request) {
  return *Arrive(request, &wire::ParseHessianRequest).parsed;
}

// A view of `tensor`, which outlives what is made of it.
inline const wire::Tensor& Received(const v1::Tensor& tensor) {
  static auto& arrivals = *new std::deque<wire::Tensor>();
  return arrivals.emplace_back(wire::ViewOf(tensor));
}

inline std::string BytesOf(const grpc::ByteBuffer& message) {
  std::vector<grpc::Slice> slices;
  EXPECT_TRUE(message.Dump(&slices).ok());
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// What a caller parses from a message that goes out.
template <typename Message>
Message Sent(wire::OutgoingMessage message) {
  Message parsed;
  EXPECT_TRUE(parsed.ParseFromString(BytesOf(message.Release())));
  return parsed;
}
inline v1::ComputeLossResponse Sent(wire::LossResponse response) {
  return Sent<v1::ComputeLossResponse>(wire::Serialize(std::move(response)));
}

}  // namespace lossd::rpc

#endif  // LOSSD_TESTS_RPC_MESSAGES_H_
